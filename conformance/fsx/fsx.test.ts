/** A sample of fsx on every target, and the proof that it sees what is wrong. */
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { afterAll, describe, expect, it } from 'vitest';
import type { Backend, OpenDoor } from '../backend.ts';
import { openBaseDir } from '../base-dir.ts';
import { fuse } from '../targets/fuse.ts';
import { inProcess } from '../targets/in-process.ts';
import { kernel } from '../targets/kernel.ts';
import { fsx } from './fsx.ts';

const sys = openSys();
const base = openBaseDir(sys);
afterAll(() => base.close(), 60_000);

const seed = Number(process.env.STRATA_SEED ?? 1);
const union = [base.privileged ? 'redirect_dir=on' : 'userxattr', 'index=off'];

/** One inode for both names of a lower hard link, and a file that the kernel has left without its data. */
const linked = ['redirect_dir=on', 'index=on', 'metacopy=on'];

describe('2000 operations', () => {
  for (const [target, backend, options] of [
    ['plain', null, []],
    ['kernel', kernel, union],
    ['kernel', kernel, linked],
    ['in-process', inProcess, union],
    ['in-process', inProcess, linked],
    ['fuse', fuse, union],
    ['fuse', fuse, linked],
  ] as const) {
    it(`${target} ${options.join(',')}`, { timeout: 120_000 }, async (context) => {
      const reason = backend?.unavailable(base) ?? (options === linked && !base.privileged ? base.reason : null);
      if (reason !== null) {
        context.skip(reason);
      }
      const { operations, done, wrong } = await fsx(sys, base, backend, { seed, operations: 2000, options, target });
      expect(wrong).toEqual([]);
      expect(operations).toBe(2000);
      const mapped = target === 'in-process' ? [] : ['mmap', 'read mapping', 'write mapping', 'msync'];
      expect(Object.keys(done)).toEqual(
        expect.arrayContaining(['read', 'write', 'truncate', 'ftruncate', 'copy_file_range', 'punch hole', ...mapped]),
      );
    });
  }
});

/** The engine in this process, behind a door that does something wrong. */
function spoilt(spoil: (door: OpenDoor) => Partial<OpenDoor>): Backend {
  return {
    ...inProcess,
    async mount(on, layers) {
      const view = await inProcess.mount(on, layers);
      if (typeof view === 'number') {
        return view;
      }
      const door = (path: string): OpenDoor => {
        const real = view.door(path);
        const wrong = spoil(real);
        return new Proxy(real, {
          get(_, key) {
            const found = Reflect.get(key in wrong ? wrong : real, key);
            return typeof found === 'function' ? found.bind(key in wrong ? wrong : real) : found;
          },
        });
      };
      return { door, close: () => view.close() };
    },
  };
}

/** What goes wrong from its fortieth time on. */
function fortieth(): () => boolean {
  let times = 0;
  return () => ++times >= 40;
}

const faults: Readonly<Record<string, () => Backend>> = {
  'one byte of a read is flipped': () => {
    const due = fortieth();
    return spoilt((door) => ({
      pread(fd, len, pos) {
        const data = door.pread(fd, len, pos);
        if (typeof data !== 'number' && data.length > 0 && due()) {
          data[data.length >> 1] ^= 1;
        }
        return data;
      },
    }));
  },
  'a truncation is forgotten': () => {
    const due = fortieth();
    return spoilt((door) => ({ ftruncate: (fd, size) => (due() ? 0 : door.ftruncate(fd, size)) }));
  },
  'a hole is not punched': () => {
    const due = fortieth();
    return spoilt((door) => ({
      fallocate: (fd, mode, off, len) => (due() ? 0 : door.fallocate(fd, mode, off, len)),
    }));
  },
  'a write goes where a 32-bit offset would': () =>
    spoilt((door) => ({ pwrite: (fd, data, pos) => door.pwrite(fd, data, pos % 2 ** 32) })),
  'a copy is one byte off': () => {
    const due = fortieth();
    return spoilt((door) => ({
      copyFileRange: (fdIn, offIn, fdOut, offOut, len) =>
        door.copyFileRange(fdIn, due() && offIn > 0 ? offIn - 1 : offIn, fdOut, offOut, len),
    }));
  },
  'O_APPEND is ignored': () =>
    spoilt((door) => ({ open: (path, flags, mode) => door.open(path, flags & ~0o2000, mode) })),
};

describe('what is wrong is seen', () => {
  for (const [name, backend] of Object.entries(faults)) {
    it(name, { timeout: 60_000 }, async () => {
      const options = { seed: 7, operations: 8000, options: union, target: 'in-process' };
      const { operations, wrong } = await fsx(sys, base, backend(), options);
      expect(wrong).toHaveLength(1);
      expect(wrong[0]).toMatch(/the first wrong byte is at \d+: |, not \d+|though there is data at \d+/);
      const log = wrong[0].split('\n').filter((line) => /^ {4}\d+ /.test(line));
      // What was not supported is logged too, and does not count.
      expect(log.length).toBeGreaterThanOrEqual(Math.min(50, operations + 1));
      expect(log.length).toBeLessThanOrEqual(50);
      // The same seed does the same again, up to the operation that was wrong.
      const [, again] = /again: npm run soak -- fsx --target in-process --seed 7 --ops (\d+) /.exec(wrong[0]) ?? [];
      expect(again).toBe(String(operations + 1));
      const repeated = await fsx(sys, base, backend(), { ...options, operations: Number(again) });
      expect(repeated.wrong).toEqual(wrong);
    });
  }
});
