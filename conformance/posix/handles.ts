/** File handles: name_to_handle_at(2), open_by_handle_at(2). A union has them with `nfs_export` only. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { fstat, lstat, open, readAll, vfs, writeFile } from '../calls.ts';
import { bytesAre, equal, fails, ok, truly } from '../expect.ts';
import { fewPositions } from '../positions.ts';
import type { Cases, Door, FileHandle } from '../target.ts';
import { dir, fifo, file, symlink, type Tree } from '../tree.ts';

const AT_HANDLE_FID = 0x200;

export function handleOf(t: Door, path: string, flags = 0): FileHandle {
  return ok<FileHandle>(vfs(t).nameToHandle(path, flags) as FileHandle);
}

export function opened(t: Door, handle: FileHandle, flags: number = c.O_RDONLY): number {
  return ok<number>(vfs(t).openByHandle(handle, flags));
}

/** On filesystems that have handles, unions with nfs_export among them (overlay/handles.ts). */
export const decodable: Readonly<Record<string, (t: Door) => void>> = {
  'a handle opens its file whatever it is called, as long as it is there'(t) {
    const { ino } = lstat(t, 'f');
    const handle = handleOf(t, 'f');
    bytesAre(readAll(t, opened(t, handle)), 'content');
    ok(t.rename('f', 'd/moved'));
    const fd = opened(t, handle, c.O_RDWR);
    equal(fstat(t, fd).ino, ino);
    ok(t.link('d/moved', 'new'));
    ok(t.unlink('d/moved'));
    bytesAre(readAll(t, opened(t, handle)), 'content');
    ok(t.unlink('new'));
    bytesAre(readAll(t, fd), 'content');
    ok(t.close(fd));
  },
  'a handle of what was removed gives ESTALE, also when its name is there again'(t) {
    const handle = handleOf(t, 'f');
    const ofDir = handleOf(t, 'd');
    ok(t.unlink('f'));
    ok(t.rmdir('d'));
    fails(e.ESTALE, vfs(t).openByHandle(handle, c.O_RDONLY));
    fails(e.ESTALE, vfs(t).openByHandle(ofDir, c.O_RDONLY));
    writeFile(t, 'f', 'another');
    ok(t.mkdir('d'));
    fails(e.ESTALE, vfs(t).openByHandle(handle, c.O_RDONLY));
    fails(e.ESTALE, vfs(t).openByHandle(ofDir, c.O_RDONLY));
  },
  'handles of directories, FIFOs and symlinks'(t) {
    const fd = opened(t, handleOf(t, 'd'), c.O_RDONLY | c.O_DIRECTORY);
    equal(fstat(t, fd).ino, lstat(t, 'd').ino);
    equal(fstat(t, opened(t, handleOf(t, 'p'), c.O_PATH)).ino, lstat(t, 'p').ino);
    const link = opened(t, handleOf(t, 'l'), c.O_PATH);
    equal([fstat(t, link).type, fstat(t, link).ino], [c.S_IFLNK, lstat(t, 'l').ino]);
    equal(fstat(t, opened(t, handleOf(t, '.'))).ino, lstat(t, '.').ino);
    fails(e.ENOTDIR, vfs(t).openByHandle(handleOf(t, 'f'), c.O_RDONLY | c.O_DIRECTORY));
  },
  'a handle from before a write opens what was written'(t) {
    const handle = handleOf(t, 'f');
    writeFile(t, 'f', 'written');
    bytesAre(readAll(t, opened(t, handle)), 'written');
    equal(handleOf(t, 'f').handle.equals(handle.handle), true);
  },
};

export const handleTree: Tree = { f: file('content'), d: dir(), p: fifo(), l: symlink('f') };

export const handleCases: Cases = {
  ...Object.fromEntries(
    Object.entries(decodable).map(([name, run]) => [
      name,
      { needs: ['root', 'vfs'], positions: ['plain'], tree: handleTree, run },
    ]),
  ),
  'a union without nfs_export gives no handles': {
    needs: ['vfs'],
    positions: ['upper', 'lower', 'merged'],
    tree: handleTree,
    run(t) {
      for (const path of ['f', 'd', 'p', 'l', '.']) {
        fails(e.EOPNOTSUPP, vfs(t).nameToHandle(path));
      }
    },
  },
  'a handle to tell objects apart (AT_HANDLE_FID) is there always': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: handleTree,
    run(t) {
      const fids = ['f', 'd', 'p', 'l'].map((path) => handleOf(t, path, AT_HANDLE_FID).handle.toString('hex'));
      equal(new Set(fids).size, 4, 'different handles');
      ok(t.link('f', 'new'));
      truly(handleOf(t, 'f', AT_HANDLE_FID).handle.equals(handleOf(t, 'new', AT_HANDLE_FID).handle), 'one handle');
    },
  },
  'a handle needs CAP_DAC_READ_SEARCH to be opened': {
    needs: ['root', 'vfs'],
    positions: ['plain'],
    tree: { f: file('content', { mode: 0o666 }) },
    run(t) {
      const handle = handleOf(t, 'f');
      t.as({ uid: 1000, gid: 1000 }, () => fails(e.EPERM, vfs(t).openByHandle(handle, c.O_RDONLY)));
      fails([e.EINVAL, e.ESTALE], vfs(t).openByHandle({ type: handle.type, handle: Buffer.alloc(0) }, c.O_RDONLY));
      ok(open(t, 'f', c.O_RDONLY));
    },
  },
};
