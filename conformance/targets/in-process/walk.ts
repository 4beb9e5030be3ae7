/**
 * A path walk over `Ops.lookup`, as the VFS does it (path_resolution(7)): symlinks up to forty,
 * `..` never above the root, trailing slashes, ENOTDIR on the way. It keeps no cache: every
 * component of every call is asked for.
 */

import { type Caller, EntryOut, type Ops, ROOT_ID } from 'stratafs/internal/ops/ops';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { Stat } from 'stratafs/internal/sys/stat';

const MAXSYMLINKS = 40;

export interface Step {
  nodeid: number;
  attr: Stat;
}

/** Where a walk ended. Its references are given back by `done`. */
export class Place {
  readonly #ops: Ops;
  /** From the root down to the directory that holds `name`, or to the object itself. */
  readonly stack: Step[];
  /** The last component when the walk stopped before it: a name, `.` or `..`. */
  name: ByteString = '';
  /** A slash follows the last component. */
  slash = false;
  readonly #held: number[] = [];

  constructor(ops: Ops, stack: readonly Step[]) {
    this.#ops = ops;
    this.stack = [...stack];
  }

  get top(): Step {
    return this.stack[this.stack.length - 1];
  }

  /** Looks `name` up in the top directory and holds the reference until `done`. */
  child(caller: Caller, name: ByteString): Step | number {
    const out = new EntryOut(new Stat());
    const err = this.#ops.lookup(caller, this.top.nodeid, name, out);
    if (err < 0) {
      return err;
    }
    this.hold(out.nodeid);
    return { nodeid: out.nodeid, attr: out.attr };
  }

  hold(nodeid: number): void {
    this.#held.push(nodeid);
  }

  /** Keeps one reference of `nodeid` beyond `done`. */
  keep(nodeid: number): void {
    this.#held.splice(this.#held.indexOf(nodeid), 1);
  }

  done(): void {
    for (const nodeid of this.#held) {
      this.#ops.forget(nodeid, 1);
    }
    this.#held.length = 0;
  }
}

export function rootStep(ops: Ops, caller: Caller): Step {
  const attr = new Stat();
  ops.getattr(caller, ROOT_ID, 0, attr);
  return { nodeid: ROOT_ID, attr };
}

/** `last`: what to do with the last component: go there, go there but not through a symlink, or stop before it. */
export type Last = 'follow' | 'nofollow' | 'parent';

/** @returns the place, whose `done` the caller owes, or a negative errno. */
export function walk(
  ops: Ops,
  caller: Caller,
  from: readonly Step[],
  path: ByteString,
  last: Last,
  links: { count: number } = { count: 0 },
): Place | number {
  if (path === '') {
    return -e.ENOENT;
  }
  if (path.length >= c.PATH_MAX) {
    return -e.ENAMETOOLONG;
  }
  const place = new Place(ops, from);
  const err = steps(ops, caller, place, path, last, links);
  if (err < 0) {
    place.done();
    return err;
  }
  return place;
}

function steps(ops: Ops, caller: Caller, place: Place, path: ByteString, last: Last, links: { count: number }): number {
  let rest = path;
  for (;;) {
    if (rest.startsWith('/')) {
      rest = rest.replace(/^\/+/, '');
      if (place.name === '' && path.startsWith('/')) {
        place.stack.length = 1;
      }
    }
    const end = rest.indexOf('/');
    const component = end < 0 ? rest : rest.slice(0, end);
    const after = end < 0 ? '' : rest.slice(end);
    rest = after.replace(/^\/+/, '');
    const isLast = rest === '';
    const slash = isLast && after !== '';
    if (component === '') {
      return 0;
    }
    if (place.top.attr.type !== c.S_IFDIR) {
      return -e.ENOTDIR;
    }
    if (isLast && last === 'parent') {
      place.name = component;
      place.slash = slash;
      return 0;
    }
    if (component === '.' || component === '..') {
      const err = ops.access(caller, place.top.nodeid, c.X_OK);
      if (err < 0) {
        return err;
      }
      if (component === '..' && place.stack.length > 1) {
        place.stack.pop();
      }
    } else {
      const step = place.child(caller, component);
      if (typeof step === 'number') {
        return step;
      }
      if (step.attr.type === c.S_IFLNK && (!isLast || slash || last === 'follow')) {
        if (links.count++ >= MAXSYMLINKS) {
          return -e.ELOOP;
        }
        const target = ops.readlink(caller, step.nodeid);
        if (typeof target === 'number') {
          return target;
        }
        if (target.startsWith('/')) {
          place.stack.length = 1;
        }
        rest = target.replace(/^\/+/, '') + (isLast ? (slash ? '/' : '') : `/${rest}`);
        continue;
      }
      place.stack.push(step);
      if ((slash || !isLast) && step.attr.type !== c.S_IFDIR) {
        return -e.ENOTDIR;
      }
    }
    if (isLast) {
      place.slash = slash;
      return 0;
    }
  }
}
