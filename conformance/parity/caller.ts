/**
 * Acting for somebody: this thread takes his filesystem ids, groups and capabilities, as the
 * kernel and a FUSE server see them of any process.
 */
import type { Sys } from 'stratafs/internal/sys/sys';

/** Two ordinary users share group 2000; objects of the layers belong to them and to others. */
export const groupsOf: Readonly<Record<number, readonly number[]>> = { 1000: [2000], 1001: [2000, 2001] };

export class Caller {
  readonly #sys: Sys;
  readonly #all: readonly [number, number];

  constructor(sys: Sys) {
    this.#sys = sys;
    const all = sys.getcap();
    if (typeof all === 'number') {
      throw new Error('capget failed');
    }
    this.#all = all;
  }

  as<T>(user: number, act: () => T): T {
    if (user === 0) {
      return act();
    }
    const sys = this.#sys;
    sys.setgroups([...(groupsOf[user] ?? [])]);
    sys.setfsgid(user);
    sys.setfsuid(user);
    sys.setcapEffective(0, 0);
    try {
      return act();
    } finally {
      sys.setcapEffective(...this.#all);
      sys.setfsuid(0);
      sys.setfsgid(0);
      sys.setgroups([]);
    }
  }
}
