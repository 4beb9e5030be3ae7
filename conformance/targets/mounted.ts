/** A mounted directory, however it came to be mounted. */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import type { Sys } from 'stratafs/internal/sys/sys';
import type { View } from '../backend.ts';
import { SysDoor } from './sys-door.ts';

export function mountedView(sys: Sys, merged: ByteString, unmount: () => Promise<void>): View {
  const doors = new Set<SysDoor>();
  return {
    door(path) {
      const door = new SysDoor(sys, path === '' ? merged : `${merged}/${path}`);
      doors.add(door);
      return door;
    },
    async close() {
      // An open descriptor would keep the mount busy.
      for (const door of doors) {
        door.end();
      }
      await unmount();
    },
  };
}
