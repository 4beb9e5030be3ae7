/**
 * Calls that the kernel's overlay hands to the filesystems of its layers as they are, and a FUSE mount cannot or need not
 * (docs/differences.md): here they lie on filesystems of different kinds.
 */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { OpenDoor } from './backend.ts';
import { openBaseDir } from './base-dir.ts';
import { lstat, mtime, open, readFile, writeFile } from './calls.ts';
import { bytesAre, check, equal, fails, gives, ok } from './expect.ts';
import { mountImage } from './image.ts';
import { fuse } from './targets/fuse.ts';
import { kernel } from './targets/kernel.ts';
import { SysDoor } from './targets/sys-door.ts';

const sys = openSys();
const base = openBaseDir(sys);
afterAll(() => base.close(), 60_000);

const PAGE = 4096;
const content = 'content of a lower; '.repeat(PAGE);

/** On ext4, with room for layers of several mounts. */
const disk = mountImage(base, 'disk', 'ext4');

describe.each([kernel, fuse])('$name', (by) => {
  const reason = by.unavailable(base) ?? ('reason' in disk ? disk.reason : null);
  const onDisk = 'reason' in disk ? '' : disk.path;
  const top = `${onDisk}/${by.name}`;

  beforeAll(() => {
    if (reason !== null) {
      return;
    }
    base.make(by.name);
    for (const dir of [top, `${top}/lower`, `${top}/upper`, `${top}/work`]) {
      check(sys.mkdirat(c.AT_FDCWD, dir, 0o755), dir);
    }
    base.make(`${by.name}/lower`);
    base.make(`${by.name}/merged`);
    for (const at of [`${top}/lower`, `${base.path}/${by.name}/lower`]) {
      const door = new SysDoor(sys, at);
      writeFile(door, at.startsWith(top) ? 'on-ext4' : 'on-tmpfs', content);
      door.end();
    }
  });

  async function mounted(use: (m: OpenDoor) => void): Promise<void> {
    const view = await by.mount(sys, {
      lowers: [`${top}/lower`, `${base.path}/${by.name}/lower`],
      upper: `${top}/upper`,
      work: `${top}/work`,
      merged: `${base.path}/${by.name}/merged`,
      options: ['redirect_dir=on', 'index=off', 'metacopy=off'],
    });
    if (typeof view === 'number') {
      throw new Error(`set-up: ${e.errnoName(view)}`);
    }
    const m = view.door('');
    try {
      use(m);
    } finally {
      m.end();
      await view.close();
    }
  }

  it('copy_file_range from a lower on another filesystem: EXDEV by the kernel, a copy by FUSE', async (context) => {
    if (reason !== null) context.skip(reason);
    await mounted((m) => {
      const from = open(m, 'on-tmpfs', c.O_RDONLY);
      const to = open(m, 'copy', c.O_WRONLY | c.O_CREAT);
      const copied = m.copyFileRange(from, 7, to, 0, PAGE);
      if (by === kernel) fails(e.EXDEV, copied);
      else equal(copied, PAGE);
      bytesAre(readFile(m, 'copy'), by === kernel ? '' : content.slice(7, 7 + PAGE));
    });
  });

  it('O_DIRECT: a lower file is read from anywhere by FUSE, an upper one as by the kernel', async (context) => {
    if (reason !== null) context.skip(reason);
    await mounted((m) => {
      const lower = open(m, 'on-ext4', c.O_RDONLY | c.O_DIRECT);
      const read = m.pread(lower, 100, 1);
      if (by === kernel) fails(e.EINVAL, read);
      else bytesAre(read, content.slice(1, 101));
      writeFile(m, 'own', content);
      ok(m.utimens('own', [5, 0], [5, 0]));
      const own = open(m, 'own', c.O_RDWR | c.O_DIRECT);
      for (const at of [1, PAGE + 100]) {
        fails(e.EINVAL, m.pread(own, PAGE, at));
        fails(e.EINVAL, m.pwrite(own, 'x'.repeat(100), at));
      }
      // By the kernel's ext4 the refused write has moved it.
      equal(mtime(lstat(m, 'own'))[0] === 5, by === fuse);
      bytesAre(readFile(m, 'own'), content);
      gives(0, m.close(own));
    });
  });
});
