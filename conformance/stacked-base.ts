/**
 * A base directory inside a mount of our own: whatever is staged in it has its lowers, upper and
 * work on a strata FUSE mount. Stacks stand on stacks.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import type { Sys } from 'stratafs/internal/sys/sys';
import type { Backend, View } from './backend.ts';
import type { BaseDir } from './base-dir.ts';
import { check } from './expect.ts';

export interface StackedBase extends BaseDir {
  /** Mounts what it lies in. Before `make`. */
  open(): Promise<void>;
  /** Unmounts it. */
  end(): Promise<void>;
}

/** `name` is new in `under`; nothing is touched before `open`. */
export function stackedBase(sys: Sys, under: BaseDir, by: Backend, name: string): StackedBase {
  const at = `${under.path}/${name}`;
  const path: ByteString = `${at}/merged/base`;
  let view: View | null = null;
  return {
    label: `${under.label}${name}-`,
    path,
    privileged: under.privileged,
    reason: under.reason,
    handles: false,
    async open() {
      const make = (part: string): ByteString => {
        check(sys.mkdirat(c.AT_FDCWD, `${at}/${part}`, 0o755), part);
        return `${at}/${part}`;
      };
      under.make(name);
      const layers = { lowers: [make('lower')], upper: make('upper'), work: make('work'), merged: make('merged') };
      // The base directory is a merged one.
      make('lower/base');
      const mounted = await by.mount(sys, { ...layers, options: ['redirect_dir=on'] });
      if (typeof mounted === 'number') {
        check(mounted, `${by.name} mount of ${name}`);
        return;
      }
      view = mounted;
    },
    async end() {
      await view?.close();
      view = null;
    },
    make(part) {
      const made = `${path}/${part}`;
      check(sys.mkdirat(c.AT_FDCWD, made, 0o755), made);
      return made;
    },
    close() {},
  };
}
