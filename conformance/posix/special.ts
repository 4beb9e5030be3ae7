/** FIFOs and devices in use, and statfs: what the VFS does with the inodes that a filesystem shows. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import type { StatFs } from 'stratafs/internal/sys/stat';
import { lstat, open } from '../calls.ts';
import { bytesAre, equal, fails, ok, truly } from '../expect.ts';
import type { Cases } from '../target.ts';
import { chr, dir, fifo, file, hardlink, socket, symlink } from '../tree.ts';

export const specialCases: Cases = {
  'a FIFO carries bytes from its writer to its reader': {
    needs: ['vfs'],
    tree: { p: fifo({ mode: 0o666 }) },
    run(t) {
      const reader = open(t, 'p', c.O_RDONLY | c.O_NONBLOCK);
      const writer = open(t, 'p', c.O_WRONLY | c.O_NONBLOCK);
      equal(t.write(writer, 'through'), 7);
      bytesAre(t.read(reader, 100), 'through');
      fails(e.EAGAIN, t.read(reader, 1));
      ok(t.close(writer));
      bytesAre(t.read(reader, 1), '');
    },
  },
  'a FIFO is one through both of its names, and after a change of mode': {
    needs: ['vfs'],
    tree: { p: fifo(), q: hardlink('p') },
    positions: ['plain', 'upper', 'merged', 'opaque', 'whiteouts'],
    run(t) {
      const reader = open(t, 'p', c.O_RDONLY | c.O_NONBLOCK);
      ok(t.chmod('p', 0o600));
      equal(t.write(open(t, 'q', c.O_WRONLY | c.O_NONBLOCK), 'x'), 1);
      bytesAre(t.read(reader, 10), 'x');
    },
  },
  'a FIFO that was renamed is still the same': {
    needs: ['vfs'],
    tree: { p: fifo() },
    run(t) {
      const reader = open(t, 'p', c.O_RDONLY | c.O_NONBLOCK);
      ok(t.rename('p', 'moved'));
      equal(t.write(open(t, 'moved', c.O_WRONLY | c.O_NONBLOCK), 'x'), 1);
      bytesAre(t.read(reader, 10), 'x');
    },
  },
  'devices work': {
    needs: ['root', 'vfs'],
    tree: { zero: chr(0x105, { mode: 0o666 }), null: chr(0x103, { mode: 0o666 }) },
    run(t) {
      bytesAre(t.read(open(t, 'zero', c.O_RDWR), 5), Buffer.alloc(5));
      equal(t.write(open(t, 'null', c.O_WRONLY), 'gone'), 4);
      ok(t.mknod('new', c.S_IFCHR | 0o666, 0x107));
      fails(e.ENOSPC, t.write(open(t, 'new', c.O_WRONLY), 'x'));
      t.as({ uid: 1000, gid: 1000 }, () => ok(t.open('zero', c.O_RDONLY)));
    },
  },
  'special files take no data calls': {
    tree: { s: socket(), p: fifo(), l: symlink('nowhere') },
    run(t) {
      fails(e.EINVAL, t.truncate('s', 0));
      fails(e.EINVAL, t.truncate('p', 0));
      fails(e.ENOTDIR, t.lstat('s/x'));
      fails(e.ENOTDIR, t.mkdir('p/x'));
      fails(e.ENOENT, t.stat('l'));
    },
  },
  'statfs is the same wherever in the tree it is asked': {
    tree: { f: file('f'), d: dir(), l: symlink('d') },
    run(t) {
      const tell = (path: string): unknown => {
        const { type, bsize, blocks, files, namelen, frsize } = ok<StatFs>(t.statfs(path) as StatFs);
        return { type, bsize, blocks, files, namelen, frsize };
      };
      const root = ok<StatFs>(t.statfs('.') as StatFs);
      truly(root.bsize > 0 && root.blocks > 0, 'blocks are counted');
      truly(root.bfree <= root.blocks && root.bavail <= root.bfree, 'free blocks are fewer');
      equal(root.namelen, 255);
      for (const path of ['f', 'd', 'l']) {
        equal(tell(path), tell('.'), path);
      }
      fails(e.ENOENT, t.statfs('new'));
    },
  },
  'space that is written is taken from statfs': {
    positions: ['plain', 'upper', 'lower'],
    run(t) {
      const before = ok<StatFs>(t.statfs('.') as StatFs);
      const fd = open(t, 'new', c.O_CREAT | c.O_RDWR);
      ok(t.fallocate(fd, 0, 0, 8 << 20));
      const after = ok<StatFs>(t.statfs('.') as StatFs);
      truly((before.bfree - after.bfree) * before.bsize >= 8 << 20, 'free blocks became fewer');
      equal(lstat(t, 'new').size, 8 << 20);
    },
  },
};
