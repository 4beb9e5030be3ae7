/**
 * An operation: one kind of call and everything that it needs, as plain data, so that a sequence
 * can be kept, cut, written to a file and played again. Paths are relative to the merged root.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';

export interface Operation {
  readonly kind: string;
  /** Who calls: 0, or an ordinary user (caller.ts). */
  readonly user: number;
  readonly umask: number;
  readonly path: ByteString;
  readonly to: ByteString;
  /** Which of the open descriptors, and which other one. */
  readonly slot: number;
  readonly other: number;
  readonly flags: number;
  readonly mode: number;
  /** Offsets and lengths in bytes; for other kinds, choices of their own. */
  readonly off: number;
  readonly len: number;
  /** An xattr's name. */
  readonly name: ByteString;
  /** What is written: an xattr's value, a link's text, or one char that fills `len` bytes. */
  readonly value: ByteString;
  /** 1: times are looked at before and after, which costs as much as the operation. */
  readonly watched: number;
}

const nothing: Operation = {
  kind: '',
  user: 0,
  umask: 0,
  path: '',
  to: '',
  slot: -1,
  other: -1,
  flags: 0,
  mode: 0,
  off: 0,
  len: 0,
  name: '',
  value: '',
  watched: 0,
};

export function operation(said: Partial<Operation>): Operation {
  return { ...nothing, ...said };
}

/** What was said of it, without the rest: as it stands in a replay file. */
export function brief(op: Operation): Partial<Operation> {
  return Object.fromEntries(
    Object.entries(op).filter(([key, value]) => key === 'kind' || value !== nothing[key as keyof Operation]),
  );
}
