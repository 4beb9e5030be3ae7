/**
 * What operations under faults are made of: how one looks, and the common ways to make one.
 */
import { ATTR_MODE, type Caller, EntryOut, OpenOut, type SetAttr } from '../../../src/ops/ops.ts';
import type { OverlayOps } from '../../../src/ops/overlay-ops.ts';
import { O_WRONLY } from '../../../src/sys/constants.ts';
import { EXDEV } from '../../../src/sys/errno.ts';
import { Stat } from '../../../src/sys/stat.ts';
import type { Sys } from '../../../src/sys/sys.ts';
import { isRoot } from '../temp-dir.ts';
import { me, nothing, walk } from '../union.ts';
import { BIG } from './layers.ts';

export interface Operation {
  /** What it may answer instead of the errno that was injected. */
  answers?: number;
  /**
   * It copies data into a file that is seen, whose mtime it puts back only then: on the way it may be
   * that of the copying, in the kernel too.
   */
  completes?: boolean;
  /** What was cut short is finished by a mount of ours only: the kernel has no such operation. */
  finishes?: boolean;
  /** After a failure it may be refused: what it needs is gone. */
  once?: boolean;
  /** What is done before the fault is armed, giving what is done under it. */
  prepare(o: OverlayOps): () => number;
  /** Closes what `prepare` has opened. */
  end?(o: OverlayOps): void;
  /** The system that it runs on, from the real one. */
  on?(sys: Sys): Sys;
}
export const other: Caller = isRoot ? { uid: 1234, gid: 1234, pid: 1, umask: 0o022 } : me;

/** Runs `make` and gives the reference back that it took. */
export function made(o: OverlayOps, make: (out: EntryOut) => number): number {
  const out = new EntryOut(new Stat());
  const result = make(out);
  if (result >= 0) o.forget(out.nodeid, 1);
  return result;
}

export function created(o: OverlayOps, make: (out: EntryOut, open: OpenOut) => number): number {
  const open = new OpenOut();
  return made(o, (out) => {
    const result = make(out, open);
    if (result >= 0) o.release(open.fh);
    return result;
  });
}

export const run = (act: (o: OverlayOps) => number): Operation => ({ prepare: (o) => () => act(o) });

/** The walk may fail too, with what the fault is. */
export function at(o: OverlayOps, name: string, act: (nodeid: number) => number): number {
  const nodeid = walk(o, name);
  return nodeid < 0 ? nodeid : act(nodeid);
}

export function openAndClose(o: OverlayOps, nodeid: number, flags: number): number {
  const open = new OpenOut();
  const result = o.open(me, nodeid, flags, false, open);
  if (result >= 0) o.release(open.fh);
  return result;
}

export const setMode = (o: OverlayOps, name: string, mode: number): number =>
  at(o, name, (nodeid) => o.setattr(me, nodeid, { ...nothing, valid: ATTR_MODE, mode }, new Stat()));

export const setting = (name: string, set: Partial<SetAttr>): Operation =>
  run((o) => at(o, name, (nodeid) => o.setattr(me, nodeid, { ...nothing, ...set }, new Stat())));
export const making = (make: (o: OverlayOps, out: EntryOut) => number): Operation =>
  run((o) => made(o, (out) => make(o, out)));

export function renaming(from: string, to: string, flags = 0, used = ''): Operation {
  const [fromDir, toDir] = [from, to].map((p) => p.slice(0, Math.max(0, p.lastIndexOf('/'))));
  const base = (p: string): string => p.slice(p.lastIndexOf('/') + 1);
  return {
    prepare(o) {
      const [dir, newDir] = [walk(o, fromDir), walk(o, toDir)];
      walk(o, used);
      return () => o.rename(me, dir, base(from), newDir, base(to), flags);
    },
  };
}

/** A redirect that cannot be written leaves the rename to the caller, whatever the reason: kernel ovl_set_redirect. */
export const redirecting = (operation: Operation): Operation => ({ ...operation, answers: EXDEV });

export function opening(name: string, flags = O_WRONLY): Operation {
  return {
    prepare(o) {
      const nodeid = walk(o, name);
      return () => openAndClose(o, nodeid, flags);
    },
  };
}

/** Every clone succeeds, as on a filesystem with reflinks. */
export function cloning(sys: Sys): Sys {
  const buf = Buffer.alloc(BIG);
  return {
    ...sys,
    ficlone(dst, src) {
      const n = sys.pread(src, buf, 0, buf.length, 0);
      return n < 0 ? n : Math.min(0, sys.pwrite(dst, buf, 0, n, 0));
    },
  };
}

/** Layers on two filesystems of which neither copies for the other: read and write, a chunk at a time. */
export const apart = (sys: Sys): Sys => ({ ...sys, ficlone: () => -EXDEV, copyFileRange: () => -EXDEV });
