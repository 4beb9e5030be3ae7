/** MAP_SHARED mappings: made, read, written, synced, kept beyond their descriptors, truncated under. */
import * as c from 'stratafs/internal/sys/constants';
import { BLOCK } from './content.ts';
import { type Kinds, type MapState, type Play, readable, shown, writable } from './play.ts';

const MAX_MAPS = 6;

export const mapKinds: Kinds = {
  mmap: {
    weight: 3,
    run(play) {
      const { sys, rnd } = play;
      if (sys === null) {
        return 'unsupported';
      }
      const open = play.pickOpen(readable);
      if (open === null || (!play.coherent && open.early)) {
        return false;
      }
      if (play.maps.length >= MAX_MAPS) {
        unmap(play);
      }
      const { off, length } = play.range(open.file, true);
      const write = writable(open) && rnd.below(3) > 0;
      play.note(`mmap ${shown(open)} ${off}+${length}${write ? ' to write' : ''}`);
      const prot = write ? c.PROT_READ | c.PROT_WRITE : c.PROT_READ;
      const address = play.ok<number>(sys.mmap(open.fd, length, prot, c.MAP_SHARED, off), 'mmap');
      play.maps.push({ file: open.file, writable: write, off, address, length });
      return true;
    },
  },
  'read mapping': {
    weight: 8,
    run(play) {
      const part = pickPart(play, false);
      if (play.sys === null || part === null) {
        return play.sys === null ? 'unsupported' : false;
      }
      const { map, off, length } = part;
      play.note(`read mapping of ${map.file.label} ${off}+${length}`);
      const got = Buffer.alloc(length);
      play.ok(play.sys.readMemory(map.address + off - map.off, got, 0, length), 'read of a mapping');
      play.same(map.file, off, got, map.file.content.read(off, length), 'read of a mapping of');
      return true;
    },
  },
  'write mapping': {
    weight: 8,
    run(play) {
      const part = pickPart(play, true);
      if (play.sys === null || part === null) {
        return play.sys === null ? 'unsupported' : false;
      }
      const { map, off, length } = part;
      play.note(`write mapping of ${map.file.label} ${off}+${length}`);
      const data = play.data(length);
      play.ok(play.sys.writeMemory(map.address + off - map.off, data, 0, length), 'write to a mapping');
      map.file.content.write(off, data);
      return true;
    },
  },
  msync: {
    weight: 2,
    run(play) {
      if (play.sys === null || play.maps.length === 0) {
        return play.sys === null ? 'unsupported' : false;
      }
      const map = play.rnd.pick(play.maps);
      const flags = play.rnd.pick([c.MS_SYNC, c.MS_ASYNC]);
      play.note(`msync ${flags === c.MS_SYNC ? 'MS_SYNC' : 'MS_ASYNC'} ${map.file.label} ${map.off}+${map.length}`);
      play.ok(play.sys.msync(map.address, map.length, flags), 'msync');
      return true;
    },
  },
  munmap: {
    weight: 2,
    run(play) {
      if (play.sys === null || play.maps.length === 0) {
        return play.sys === null ? 'unsupported' : false;
      }
      unmap(play);
      return true;
    },
  },
};

function unmap(play: Play): void {
  const map = play.rnd.pick(play.maps);
  play.note(`munmap ${map.file.label} ${map.off}+${map.length}`);
  play.maps.splice(play.maps.indexOf(map), 1);
  play.ok(play.sys?.munmap(map.address, map.length) ?? 0, 'munmap');
}

/**
 * A part of some mapping that may be touched: to read, up to the end of the page that holds the
 * file's end, where zeros lie behind it; to write, up to the end itself.
 */
function pickPart(play: Play, write: boolean): { map: MapState; off: number; length: number } | null {
  const { rnd } = play;
  const room = ({ file, off, length }: MapState): number => {
    const end = write ? file.content.size : Math.ceil(file.content.size / BLOCK) * BLOCK;
    return Math.min(length, end - off);
  };
  const some = play.maps.filter((map) => room(map) > 0 && (!write || map.writable));
  if (some.length === 0) {
    return null;
  }
  const map = rnd.pick(some);
  const off = rnd.below(room(map));
  return { map, off: map.off + off, length: 1 + rnd.below(room(map) - off) };
}
