/**
 * The state of one run: files as they should be (content.ts), the descriptors and mappings that are
 * open on them, and the log. The kinds of operations (data.ts, space.ts, maps.ts, life.ts) draw
 * their arguments from its generator, do the same to the door and to the model, and compare.
 */
import * as c from 'stratafs/internal/sys/constants';
import { EOPNOTSUPP, errnoName } from 'stratafs/internal/sys/errno';
import type { Sys } from 'stratafs/internal/sys/sys';
import type { OpenDoor } from '../backend.ts';
import type { Random } from '../random.ts';
import { BLOCK, type Content } from './content.ts';

/** Most operations keep below this offset, so that they meet. */
export const LOW: number = 256 * 1024;
/** The others lie here: no 32-bit number holds these offsets. */
export const FAR: number = 2 ** 32 - 16 * BLOCK;
const FAR_SPAN = 32 * BLOCK;
/** No file grows beyond this. */
export const MAX_SIZE: number = FAR + 4 * FAR_SPAN;
const LOGGED = 50;

/** One file: what names and descriptors of it have in common. */
export interface FileState {
  readonly label: string;
  content: Content;
  /** It was opened for writing, or changed by its name: whatever it was, it lies in the upper. */
  copied: boolean;
}

export interface OpenState {
  fd: number;
  file: FileState;
  flags: number;
  /** The file was not copied up yet. */
  early: boolean;
}

/** A live MAP_SHARED mapping; its descriptor may be closed already. */
export interface MapState {
  file: FileState;
  writable: boolean;
  /** Offset in the file, a multiple of the block size. */
  off: number;
  address: number;
  length: number;
}

/** The tree is wrong: what was seen, and what should have been. */
export class Mismatch extends Error {
  override name = 'Mismatch';
}

export interface Kind {
  weight: number;
  /** Does one operation. @returns false when there was nothing to do it to; 'unsupported' when the target cannot. */
  run(play: Play): boolean | 'unsupported';
}

export type Kinds = Readonly<Record<string, Kind>>;

export class Play {
  readonly rnd: Random;
  /** Real descriptors can be mapped, cloned and so on; null for an engine in this process. */
  readonly sys: Sys | null;
  /** A mapping made before the file was copied up shows what is written later. */
  readonly coherent: boolean;
  /** Memory as O_DIRECT wants it; null where there is no O_DIRECT. */
  readonly room: Buffer | null;
  #door: OpenDoor | null = null;
  names: Map<string, FileState | null> = new Map();
  readonly opens: OpenState[] = [];
  readonly maps: MapState[] = [];
  operations = 0;
  readonly log: string[] = [];
  /** How often each kind was done. */
  readonly done: Record<string, number> = {};
  readonly unsupported: Set<string> = new Set();

  constructor(rnd: Random, on: { sys: Sys | null; coherent: boolean; room: Buffer | null }) {
    this.rnd = rnd;
    this.sys = on.sys;
    this.coherent = on.coherent;
    this.room = on.room;
  }

  get door(): OpenDoor {
    if (this.#door === null) {
      throw new Error('set-up: no directory is open');
    }
    return this.#door;
  }

  /** From now on the run plays in the directory that `door` stands for. */
  enter(door: OpenDoor): void {
    this.#door = door;
  }

  /** Unmaps and closes everything. */
  leave(): void {
    for (const map of this.maps.splice(0)) {
      this.sys?.munmap(map.address, map.length);
    }
    this.opens.length = 0;
    this.#door?.end();
    this.#door = null;
  }

  /** Does one operation of a random kind. */
  step(kinds: Kinds, lots: readonly string[]): void {
    for (;;) {
      const name = this.rnd.pick(lots);
      if (this.unsupported.has(name)) {
        continue;
      }
      const outcome = kinds[name].run(this);
      if (outcome === 'unsupported') {
        if (this.done[name] !== undefined) {
          throw new Mismatch(`${name}: unsupported now, and was not before`);
        }
        this.unsupported.add(name);
      } else if (outcome) {
        this.operations++;
        this.done[name] = (this.done[name] ?? 0) + 1;
        return;
      }
    }
  }

  /** Writes the operation down, before it is done. */
  note(text: string): void {
    this.log.push(`${this.operations + 1} ${text}`);
    if (this.log.length > LOGGED) {
      this.log.shift();
    }
  }

  /** The call succeeded. @returns its result. */
  ok<T>(result: T | number, what: string): T {
    if (typeof result === 'number' && result < 0) {
      throw new Mismatch(`${what}: ${errnoName(result)}`);
    }
    return result as T;
  }

  equal(got: number, want: number, what: string): void {
    if (got !== want) {
      throw new Mismatch(`${what}: ${got < 0 ? errnoName(got) : got}, not ${want}`);
    }
  }

  /** Whether the call was done; -EOPNOTSUPP is an answer, any other failure is wrong. */
  supported(result: number, what: string): boolean {
    if (result === -EOPNOTSUPP) {
      return false;
    }
    this.ok(result, what);
    return true;
  }

  /** `got` was read at `off` of `file`. */
  same(file: FileState, off: number, got: Buffer, want: Buffer, what: string): void {
    if (!got.equals(want)) {
      throw new Mismatch(`${what} ${file.label}: ${firstWrong(off, got, want)}`);
    }
  }

  /** Some bytes, most of them near the beginning, so that operations meet. */
  range(file: FileState, aligned: boolean): { off: number; length: number } {
    const { rnd } = this;
    const whole = aligned || rnd.below(4) === 0;
    const far = rnd.below(file.content.size > LOW ? 4 : 40) === 0;
    let off = far ? FAR + rnd.below(FAR_SPAN) : rnd.below(LOW);
    let length = 1 + rnd.below(1 << (4 + rnd.below(13)));
    if (whole) {
      off -= off % BLOCK;
      length = Math.ceil(length / BLOCK) * BLOCK;
    }
    return { off, length };
  }

  /** A size to truncate to. */
  size(file: FileState): number {
    const { rnd } = this;
    const { size } = file.content;
    switch (rnd.below(6)) {
      case 0:
        return rnd.below(BLOCK);
      case 1:
        return rnd.below(12) === 0 ? FAR + rnd.below(FAR_SPAN) : rnd.below(LOW);
      case 2:
        return Math.max(0, size - 1 - rnd.below(BLOCK));
      case 3:
        return Math.min(MAX_SIZE, size + rnd.below(BLOCK));
      default:
        return rnd.below(Math.min(size, LOW) + 1);
    }
  }

  /** Bytes that tell where they come from: seven letters of this operation, over and over. */
  data(length: number): Buffer {
    return Buffer.alloc(length, `${this.operations.toString(36).padStart(6, '.')}|`, 'latin1');
  }

  /** pread and pwrite of `open`, from aligned memory where it was opened with O_DIRECT. */
  pread(open: OpenState, length: number, off: number): Buffer | number {
    if (!isDirect(open) || this.sys === null || this.room === null) {
      return this.door.pread(open.fd, length, off);
    }
    const n = this.sys.pread(open.fd, this.room, 0, length, off);
    return n < 0 ? n : this.room.subarray(0, n);
  }

  pwrite(open: OpenState, data: Buffer, off: number): number {
    if (!isDirect(open) || this.sys === null || this.room === null) {
      return this.door.pwrite(open.fd, data, off);
    }
    data.copy(this.room);
    return this.sys.pwrite(open.fd, this.room, 0, data.length, off);
  }

  pickOpen(fits: (open: OpenState) => boolean): OpenState | null {
    const some = this.opens.filter(fits);
    return some.length === 0 ? null : this.rnd.pick(some);
  }

  /** Every name that has a file. */
  present(): [string, FileState][] {
    return [...this.names].filter((entry): entry is [string, FileState] => entry[1] !== null);
  }
}

export function readable(open: OpenState): boolean {
  return (open.flags & c.O_ACCMODE) !== c.O_WRONLY;
}

export function writable(open: OpenState): boolean {
  return (open.flags & c.O_ACCMODE) !== c.O_RDONLY;
}

export function isDirect(open: OpenState): boolean {
  return (open.flags & c.O_DIRECT) !== 0;
}

export function appends(open: OpenState): boolean {
  return (open.flags & c.O_APPEND) !== 0;
}

export function shown(open: OpenState): string {
  return `fd ${open.fd} (${open.file.label})`;
}

function firstWrong(off: number, got: Buffer, want: Buffer): string {
  const shorter = Math.min(got.length, want.length);
  for (let i = 0; i < shorter; i++) {
    if (got[i] !== want[i]) {
      const text = (from: Buffer): string => JSON.stringify(from.toString('latin1', i, i + 14));
      return `the first wrong byte is at ${off + i}: ${text(got)}, not ${text(want)}`;
    }
  }
  return `${got.length} bytes from ${off}, not ${want.length}`;
}
