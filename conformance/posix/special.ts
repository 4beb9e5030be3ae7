/** FIFOs and devices in use, and statfs: what the VFS does with the inodes that a filesystem shows. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { major, makedev, minor, type StatFs } from 'stratafs/internal/sys/stat';
import { fstat, lstat, open, vfs } from '../calls.ts';
import { bytesAre, equal, fails, ok, truly } from '../expect.ts';
import { fewPositions } from '../positions.ts';
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
  'a FIFO without its other end: ENXIO for a writer, EPIPE after the reader has gone': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { p: fifo({ mode: 0o666 }), d: dir() },
    run(t) {
      fails(e.ENXIO, t.open('p', c.O_WRONLY | c.O_NONBLOCK));
      const reader = open(t, 'p', c.O_RDONLY | c.O_NONBLOCK);
      const writer = open(t, 'p', c.O_WRONLY | c.O_NONBLOCK);
      ok(t.close(reader));
      fails(e.EPIPE, t.write(writer, 'x'));
      fails(e.ESPIPE, t.lseek(writer, 0, c.SEEK_SET));
      fails(e.ESPIPE, t.pwrite(writer, 'x', 0));
      fails(e.EINVAL, t.ftruncate(writer, 0));
    },
  },
  'an open FIFO goes on after it was changed, moved, given another name and unlinked': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { p: fifo(), d: dir() },
    run(t) {
      const reader = open(t, 'p', c.O_RDONLY | c.O_NONBLOCK);
      const writer = open(t, 'p', c.O_WRONLY);
      const { ino } = fstat(t, reader);
      ok(t.fchmod(writer, 0o622));
      ok(t.rename('p', 'd/moved'));
      ok(t.link('d/moved', 'new'));
      equal(fstat(t, reader).nlink, 2);
      ok(t.unlink('d/moved'));
      equal(t.write(open(t, 'new', c.O_WRONLY | c.O_NONBLOCK), 'one '), 4);
      ok(t.unlink('new'));
      equal(t.write(writer, 'two'), 3);
      bytesAre(t.read(reader, 100), 'one two');
      const st = fstat(t, reader);
      equal([st.nlink, st.mode & 0o7777, st.ino], [0, 0o622, ino]);
    },
  },
  'a socket is bound, connected to through another name, and cannot be opened': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { s: socket({ mode: 0o666 }), d: dir() },
    run(t) {
      fails(e.ENXIO, t.open('s', c.O_RDWR));
      const said = vfs(t).elsewhere(`
        const net = await import('node:net');
        const fs = await import('node:fs');
        const once = (of, event) => new Promise((done, failed) => of.once(event, done).once('error', failed));
        const answer = async (path) => {
          const client = net.connect(path);
          const [chunk] = await Promise.all([once(client, 'data'), once(client, 'connect')]);
          client.destroy();
          return chunk.toString();
        };
        const server = net.createServer((client) => client.end('hello'));
        server.listen('d/sock');
        await once(server, 'listening');
        const said = [await answer('d/sock')];
        fs.chmodSync('d/sock', 0o600);
        fs.renameSync('d/sock', 'moved');
        fs.linkSync('moved', 'new');
        said.push(await answer('moved'), await answer('new'));
        said.push(await answer('s').catch((error) => error.code));
        console.log(said.join(' '));
        process.exit(0);`);
      equal(said, 'hello hello hello ECONNREFUSED\n');
      equal([lstat(t, 'new').type, lstat(t, 'new').nlink], [c.S_IFSOCK, 2]);
    },
  },
  'block and character devices keep numbers of all their bits': {
    needs: ['root'],
    positions: fewPositions,
    tree: { c: chr(makedev(0x1ff, 0x3ffff)), d: dir() },
    run(t) {
      ok(t.mknod('new', c.S_IFBLK | 0o640, makedev(7, 0x2bcde)));
      ok(t.mknod('new2', c.S_IFCHR | 0o600, makedev(0x123, 1)));
      ok(t.mknod('new3', c.S_IFBLK | 0o600, 0));
      const of = (path: string): unknown => [
        lstat(t, path).type,
        major(lstat(t, path).rdev),
        minor(lstat(t, path).rdev),
      ];
      // XFS has no more than 9 bits for the major number, and 18 for the minor.
      const widest = t.mknod('moved2', c.S_IFBLK | 0o600, makedev(0xfff, 0xfffff));
      if (widest !== -e.EINVAL) {
        ok(widest);
        equal(of('moved2'), [c.S_IFBLK, 0xfff, 0xfffff]);
      }
      equal(of('new'), [c.S_IFBLK, 7, 0x2bcde]);
      equal(of('new2'), [c.S_IFCHR, 0x123, 1]);
      equal(of('new3'), [c.S_IFBLK, 0, 0]);
      equal(of('c'), [c.S_IFCHR, 0x1ff, 0x3ffff]);
      ok(t.chmod('c', 0o600));
      ok(t.rename('c', 'd/moved'));
      equal(of('d/moved'), [c.S_IFCHR, 0x1ff, 0x3ffff]);
      ok(t.link('new', 'd/new'));
      equal(lstat(t, 'd/new').nlink, 2);
    },
  },
  'a device without a driver gives ENXIO': {
    needs: ['root', 'vfs'],
    positions: fewPositions,
    tree: { c: chr(makedev(0x1fe, 3), { mode: 0o666 }) },
    run(t) {
      fails(e.ENXIO, t.open('c', c.O_RDWR));
    },
  },
  'a device made by a user gives EPERM, a socket or a file is his': {
    needs: ['root'],
    positions: fewPositions,
    tree: { d: dir({}, { mode: 0o777 }) },
    run(t) {
      t.as({ uid: 1000, gid: 1000 }, () => {
        fails(e.EPERM, t.mknod('d/new', c.S_IFBLK | 0o666, 0x700));
        ok(t.mknod('d/new', c.S_IFSOCK | 0o666));
        ok(t.mknod('d/new2', c.S_IFREG | 0o666));
      });
      equal([lstat(t, 'd/new').uid, lstat(t, 'd/new2').type], [1000, c.S_IFREG]);
    },
  },
};
