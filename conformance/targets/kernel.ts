/** The kernel's overlay: the oracle of everything that a plain filesystem cannot say. */
import { errnoName } from 'stratafs/internal/sys/errno';
import type { Sys } from 'stratafs/internal/sys/sys';
import type { Backend, LayerDirs, View } from '../backend.ts';
import { check } from '../expect.ts';
import { SysDoor } from './sys-door.ts';

/** The `-o` text; paths of test layers hold nothing that needs an escape unless a case escaped it. */
export function optionText(layers: LayerDirs): string {
  const upper = layers.upper === null ? [] : [`upperdir=${layers.upper}`, `workdir=${layers.work}`];
  return [`lowerdir=${layers.lowers.join(':')}`, ...upper, ...layers.options].join(',');
}

/** A mounted directory, however it came to be mounted. */
export function mountedView(sys: Sys, merged: string, unmounted: () => void): View {
  const doors = new Set<SysDoor>();
  return {
    door(path) {
      const door = new SysDoor(sys, path === '' ? merged : `${merged}/${path}`);
      doors.add(door);
      return door;
    },
    close() {
      for (const door of doors) {
        door.end();
      }
      check(sys.umount2(merged, 0), `umount ${merged}`);
      unmounted();
    },
  };
}

function tryMount(sys: Sys, layers: LayerDirs): View | number {
  const result = sys.mount('overlay', layers.merged, 'overlay', 0, optionText(layers));
  return result < 0 ? result : mountedView(sys, layers.merged, () => {});
}

export const kernel: Backend = {
  name: 'kernel',
  unavailable: (base) => (base.privileged ? null : base.reason),
  tryMount,
  mount(sys, layers) {
    const view = tryMount(sys, layers);
    if (typeof view === 'number') {
      throw new Error(`mount -t overlay -o ${optionText(layers)}: ${errnoName(view)}`);
    }
    return view;
  },
};
