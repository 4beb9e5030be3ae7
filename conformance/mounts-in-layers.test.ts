/**
 * Filesystems that are mounted inside a layer. The kernel looks below them, as it keeps a private clone of each
 * layer's mount without what is mounted in it; ours does so in a lower (docs/differences.md).
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { afterAll, describe, it } from 'vitest';
import type { OpenDoor } from './backend.ts';
import { openBaseDir } from './base-dir.ts';
import { names, readFile, writeFile } from './calls.ts';
import { bytesAre, check, equal, fails, gives, ok } from './expect.ts';
import { fuse } from './targets/fuse.ts';
import { inProcess } from './targets/in-process.ts';
import { kernel } from './targets/kernel.ts';
import { SysDoor } from './targets/sys-door.ts';

const sys = openSys();
const base = openBaseDir(sys);
afterAll(() => base.close(), 60_000);

const put = (at: ByteString, path: ByteString): void => writeFile(new SysDoor(sys, at), path, path);

describe.each([kernel, fuse, inProcess])('$name', (by) => {
  const reason = by.unavailable(base) ?? (base.privileged ? null : base.reason);

  /** `at/where/sub` has a file below and a filesystem with another one mounted over it while `use` looks. */
  async function mounted(where: 'upper' | 'lower', use: (m: OpenDoor) => void): Promise<ByteString> {
    const at = base.make(`${by.name}-${where}`);
    for (const name of ['upper', 'lower', 'work', 'merged', `${where}/sub`]) {
      check(sys.mkdirat(c.AT_FDCWD, `${at}/${name}`, 0o755), name);
    }
    put(at, `${where}/sub/below`);
    const inner = `${at}/${where}/sub`;
    check(sys.mount('inner', inner, 'tmpfs', 0, ''), 'mount');
    put(at, `${where}/sub/inner`);
    try {
      const layers = { lowers: [`${at}/lower`], upper: `${at}/upper`, work: `${at}/work`, merged: `${at}/merged` };
      const view = await by.mount(sys, { ...layers, options: ['redirect_dir=on', 'index=off', 'metacopy=off'] });
      if (typeof view === 'number') {
        throw new Error(`set-up: ${e.errnoName(view)}`);
      }
      try {
        const m = view.door('');
        use(m);
        m.end();
      } finally {
        await view.close();
      }
    } finally {
      check(sys.umount2(inner, 0), 'umount');
    }
    return at;
  }

  it('in a lower: it is what lies below that shows', async (context) => {
    if (reason !== null) {
      context.skip(reason);
    }
    const at = await mounted('lower', (m) => {
      equal(names(m, 'sub'), ['below']);
      fails(e.ENOENT, m.lstat('sub/inner'));
      writeFile(m, 'sub/below', 'changed');
    });
    bytesAre(readFile(new SysDoor(sys, at), 'upper/sub/below'), 'changed');
  });

  it('in the upper: the kernel shows what lies below, ours what is mounted', async (context) => {
    if (reason !== null) {
      context.skip(reason);
    }
    const ours = by !== kernel;
    const at = await mounted('upper', (m) => {
      equal(names(m, 'sub'), [ours ? 'inner' : 'below']);
      writeFile(m, 'sub/new', 'new');
      gives(ours ? e.EXDEV : 0, m.link('sub/new', 'linked'));
      gives(ours ? e.EXDEV : 0, m.rename('sub/new', 'moved'));
      // The VFS sees the mount point in both.
      fails(e.EBUSY, m.rename('sub', 'other'));
      fails(e.EBUSY, m.rmdir('sub'));
    });
    // What was written to the other filesystem has gone with it.
    const upper = new SysDoor(sys, `${at}/upper`);
    equal(
      [names(upper, '.'), names(upper, 'sub')],
      ours ? [['sub'], ['below']] : [['linked', 'moved', 'sub'], ['below']],
    );
    ok(upper.lstat('sub/below'));
  });
});
