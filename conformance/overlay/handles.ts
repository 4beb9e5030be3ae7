/** nfs_export=on: file handles of a union, through copy-up and after the kernel has forgotten the inode. */
import { writeFileSync } from 'node:fs';
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { fstat, list, lstat, names, open, readAll, readFile, vfs, writeFile } from '../calls.ts';
import { bytesAre, equal, fails, ok, skip } from '../expect.ts';
import type { OverlayCase, OverlayCases } from '../overlay-case.ts';
import { decodable, handleOf, handleTree, opened } from '../posix/handles.ts';
import { dir, file, type Tree } from '../tree.ts';

/** Has the kernel forget every inode that nobody uses. */
function forgetInodes(): void {
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '2');
  } catch (error) {
    skip(`inodes cannot be forgotten here: ${(error as NodeJS.ErrnoException).code}`);
  }
}

function table(): OverlayCases {
  const cases: Record<string, OverlayCase> = {};
  for (const [name, run] of Object.entries(decodable)) {
    cases[`nfs_export, in the upper: ${name}`] = { lowers: [{}], upper: handleTree, needs: ['root', 'vfs'], run };
    cases[`nfs_export, in a lower: ${name}`] = {
      lowers: [handleTree],
      needs: ['root', 'vfs'],
      run(m) {
        // The kernel copies a lower directory up when its handle is asked for, which ours has no need of.
        ok(m.chmod('d', 0o755));
        run(m);
      },
    };
  }
  return cases;
}

const tree: Tree = { d: dir({ sub: dir({ f: file('content') }), g: file('g') }) };

export const overlayHandleCases: OverlayCases = {
  ...table(),
  'nfs_export: handles open what the kernel has forgotten': {
    lowers: [tree],
    upper: { own: dir({ h: file('h') }) },
    needs: ['root', 'vfs'],
    run(m) {
      ok(m.chmod('d/sub', 0o755));
      const paths = ['d/sub/f', 'd/g', 'd/sub', 'd', 'own/h', 'own'];
      const handles = paths.map((path) => handleOf(m, path));
      const numbers = paths.map((path) => lstat(m, path).ino);
      forgetInodes();
      equal(
        handles.map((handle) => fstat(m, opened(m, handle)).ino),
        numbers,
      );
      forgetInodes();
      bytesAre(readAll(m, opened(m, handles[0])), 'content');
      forgetInodes();
      equal(list(m, 'd/sub').length, 3);
      equal(
        paths.map((path) => lstat(m, path).ino),
        numbers,
      );
      equal(handleOf(m, 'd/g').handle.equals(handles[1].handle), true);
    },
  },
  'nfs_export: handles of forgotten inodes go through copy-up, rename and removal': {
    lowers: [tree],
    needs: ['root', 'vfs'],
    run(m) {
      const f = handleOf(m, 'd/sub/f');
      const g = handleOf(m, 'd/g');
      writeFile(m, 'd/sub/f', 'written');
      forgetInodes();
      bytesAre(readAll(m, opened(m, f)), 'written');
      ok(m.rename('d/sub', 'moved'));
      forgetInodes();
      const fd = opened(m, f, c.O_RDWR);
      equal(m.pwrite(fd, 'W', 0), 1);
      ok(m.close(fd));
      bytesAre(readFile(m, 'moved/f'), 'Written');
      ok(m.unlink('d/g'));
      forgetInodes();
      fails(e.ESTALE, vfs(m).openByHandle(g, c.O_RDONLY));
      ok(m.close(open(m, 'd/g', c.O_CREAT | c.O_WRONLY, 0o600)));
      fails(e.ESTALE, vfs(m).openByHandle(g, c.O_RDONLY));
    },
  },
  'nfs_export: a handle from before a remount opens its file with the kernel, and is ESTALE with ours': {
    lowers: [tree],
    needs: ['root', 'vfs'],
    async run(m, t) {
      const handles = ['d/g', 'd/sub/f'].map((path) => handleOf(m, path));
      m = await t.remount();
      // Under the numbers of that mount other objects are known now.
      equal([...names(m, 'd/sub'), ...names(m, 'd'), ...names(m, '.')], ['f', 'g', 'sub', 'd']);
      ok(m.lstat('d/sub/f'));
      for (const handle of handles) {
        const result = vfs(m).openByHandle(handle, c.O_RDONLY);
        if (t.ours) {
          fails(e.ESTALE, result);
        } else {
          ok(result);
        }
      }
    },
  },
};
