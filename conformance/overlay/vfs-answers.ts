/**
 * What Linux answers about a file before it asks its filesystem, or instead: there a FUSE mount cannot be
 * the kernel's overlay. Each case has both answers, and belongs to a row of docs/differences.md.
 */
import { readFileSync } from 'node:fs';
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { atime, later, lstat, names, open, readFile, vfs, writeFile } from '../calls.ts';
import { bytesAre, equal, fails, gives, modeIs, ok, truly } from '../expect.ts';
import type { OverlayCase, OverlayCases, Union } from '../overlay-case.ts';
import { chattr, flagsOf } from '../posix/flags.ts';
import type { Door, Who } from '../target.ts';
import { dir, fifo, file, OLD, type Tree } from '../tree.ts';

const PAGE = 4096;
const program: Buffer = readFileSync('/bin/sleep');
const RW: number = c.PROT_READ | c.PROT_WRITE;
/** Of linux/fs.h: _IOWR('f', 11, struct fiemap), _IOR(0x15, 0, struct fsuuid2). */
const FS_IOC_FIEMAP = 0xc020660b;
const FS_IOC_GETFSUUID = 0x80111500;
const FIGETBSZ = 2;
/** _IOWR(0x94, 54, struct file_dedupe_range). */
const FIDEDUPERANGE = 0xc0189436;
const SIZEOF_FIEMAP = 32;
const SIZEOF_DEDUPE = 24 + 32;
const SIZEOF_FSUUID2 = 17;
const UNSHARE_RANGE = 0x40;

const owner: Who = { uid: 1000, gid: 1000 };
const stranger: Who = { uid: 3000, gid: 3000 };
/** vfs_cap_data revision 2: cap_net_bind_service=ep. */
const capability: Buffer = Buffer.from('0100000200040000000000000000000000000000', 'hex');

/** In the upper, and in a lower. */
function inEach(name: string, tree: Tree, test: Omit<OverlayCase, 'lowers' | 'upper'>): OverlayCases {
  return {
    [`${name}, in the upper`]: { ...test, lowers: [{}], upper: tree },
    [`${name}, in a lower`]: { ...test, lowers: [tree] },
  };
}

/** The kernel's answer, or that of Linux for a FUSE inode. */
function byFuse<T>(t: Union, fuse: T, kernel: T): T {
  return t.target === 'fuse' ? fuse : kernel;
}

function guarded(m: Door, flag: number, fn: () => void): void {
  try {
    ok(chattr(m, 'f', flag));
    fn();
  } finally {
    chattr(m, 'f', 0, flag);
  }
}

export const vfsAnswerCases: OverlayCases = {
  ...inEach(
    'immutable: access(2) and statx do not say so by FUSE',
    { f: file('content') },
    {
      needs: ['root'],
      run(m, t) {
        flagsOf(m, 'f');
        guarded(m, c.FS_IMMUTABLE_FL, () => {
          gives(byFuse(t, 0, e.EPERM), m.access('f', c.W_OK));
          equal(lstat(m, 'f').attributes & c.FS_IMMUTABLE_FL, byFuse(t, 0, c.FS_IMMUTABLE_FL));
          fails(e.EPERM, m.open('f', c.O_WRONLY));
        });
      },
    },
  ),
  ...inEach(
    'append-only: by FUSE an open file can be mapped, and lose O_APPEND',
    { f: file('content') },
    {
      needs: ['root', 'vfs'],
      run(m, t) {
        flagsOf(m, 'f');
        guarded(m, c.FS_APPEND_FL, () => {
          const fd = open(m, 'f', c.O_RDWR | c.O_APPEND);
          const at = vfs(m).mmap(fd, PAGE, RW, c.MAP_SHARED);
          gives(byFuse(t, 0, e.EACCES), at);
          gives(byFuse(t, 0, e.EPERM), vfs(m).fcntl(fd, c.F_SETFL, 0));
          // What comes to the server without it is an append all the same.
          fails(e.EPERM, m.ftruncate(fd, 0));
          ok(m.close(fd));
        });
      },
    },
  ),
  'fallocate: by FUSE other modes are EOPNOTSUPP before anything is done': {
    lowers: [{}],
    upper: { f: file('content'.repeat(4000), { uid: 1000, gid: 1000, mode: 0o6777 }) },
    needs: ['root'],
    run(m, t) {
      m.as(owner, () => {
        const fd = open(m, 'f', c.O_RDWR);
        for (const mode of [c.FALLOC_FL_COLLAPSE_RANGE, c.FALLOC_FL_INSERT_RANGE, UNSHARE_RANGE]) {
          const result = m.fallocate(fd, mode, 0, PAGE);
          if (t.target === 'fuse' || result !== 0) {
            fails(e.EOPNOTSUPP, result);
          }
        }
      });
      modeIs(lstat(m, 'f').mode, byFuse(t, 0o6777, 0o777));
      ok(m.chmod('f', 0o600));
    },
  },
  'FIEMAP, FS_IOC_GETFSUUID, FIGETBSZ and far seeks are not for FUSE files as for others': {
    lowers: [{ f: file('content') }],
    needs: ['vfs'],
    run(m, t) {
      const fd = open(m, 'f', c.O_RDONLY);
      const fiemap = Buffer.alloc(SIZEOF_FIEMAP);
      fiemap.writeBigUInt64LE(1n << 40n, 8);
      const uuid = Buffer.alloc(SIZEOF_FSUUID2);
      const far = m.lseek(fd, 2 ** 52, c.SEEK_SET);
      if (t.target === 'fuse') {
        fails(e.EOPNOTSUPP, vfs(m).ioctl(fd, FS_IOC_FIEMAP, fiemap));
        fails(e.ENOTTY, vfs(m).ioctl(fd, FS_IOC_GETFSUUID, uuid));
        equal(far, 2 ** 52);
        ok(vfs(m).ioctl(fd, FIGETBSZ, Buffer.alloc(4)));
      } else {
        // The kernel's overlay has no block size of its own.
        fails(e.EINVAL, vfs(m).ioctl(fd, FIGETBSZ, Buffer.alloc(4)));
        // A tmpfs has neither extents nor an end.
        const mapped = vfs(m).ioctl(fd, FS_IOC_FIEMAP, fiemap);
        gives(mapped < 0 ? e.EOPNOTSUPP : 0, mapped);
        gives(far < 0 ? e.EINVAL : 0, far);
      }
    },
  },
  'O_APPEND that F_SETFL takes off: by FUSE what was opened with it goes on to append': {
    lowers: [{}],
    upper: { f: file('content') },
    needs: ['vfs'],
    run(m, t) {
      const fd = open(m, 'f', c.O_WRONLY | c.O_APPEND);
      ok(vfs(m).fcntl(fd, c.F_SETFL, 0));
      equal(m.pwrite(fd, 'C', 0), 1);
      bytesAre(readFile(m, 'f'), byFuse(t, 'contentC', 'Content'));
      ok(m.close(fd));
      writeFile(m, 'f', '');
    },
  },
  'FIDEDUPERANGE is not for FUSE files': {
    lowers: [{ f: file(Buffer.alloc(PAGE, 'a')) }],
    upper: { g: file(Buffer.alloc(PAGE, 'a')) },
    needs: ['vfs'],
    run(m, t) {
      const range = Buffer.alloc(SIZEOF_DEDUPE);
      range.writeBigUInt64LE(BigInt(PAGE), 8);
      range.writeUInt16LE(1, 16);
      range.writeBigInt64LE(BigInt(open(m, 'g', c.O_RDWR)), 24);
      const result = vfs(m).ioctl(open(m, 'f', c.O_RDONLY), FIDEDUPERANGE, range);
      // By the kernel what became of the range stands in it.
      equal(result, byFuse(t, -e.EOPNOTSUPP, 0));
    },
  },
  'seeks in a merged directory that are none of telldir and seekdir': {
    lowers: [{ d: dir({ x: file() }) }],
    upper: { d: dir({ y: file() }) },
    needs: ['vfs'],
    run(m, t) {
      const fd = open(m, 'd', c.O_RDONLY | c.O_DIRECTORY);
      const answers = [c.SEEK_END, c.SEEK_DATA, c.SEEK_HOLE].map((whence) => m.lseek(fd, 0, whence));
      const { size } = lstat(m, 'd');
      equal(answers, byFuse(t, [size, 0, size], [-e.EINVAL, -e.EINVAL, -e.EINVAL]));
    },
  },
  'an unnamed file is called / by inotify, by FUSE': {
    lowers: [{}],
    upper: { d: dir() },
    needs: ['vfs'],
    run(m, t) {
      const events = vfs(m).watch('d', c.IN_OPEN);
      const fd = open(m, 'd', c.O_TMPFILE | c.O_RDWR, 0o600);
      equal(
        events().map(({ name }) => name.replace(/^#\d+$/, '#')),
        [byFuse(t, '/', '#')],
      );
      ok(m.close(fd));
    },
  },
  'O_RDONLY|O_TRUNC of a program that runs is ETXTBSY, and empties a lower one all the same, by FUSE an upper one too':
    {
      lowers: [{ below: file(program, { mode: 0o755 }) }],
      upper: { above: file(program, { mode: 0o755 }) },
      needs: ['vfs'],
      run(m, t) {
        for (const path of ['below', 'above']) {
          vfs(m).executing(path, ['1000'], () => {
            for (const flags of [c.O_WRONLY | c.O_TRUNC, c.O_RDWR | c.O_TRUNC]) {
              fails(e.ETXTBSY, m.open(path, flags));
              equal(lstat(m, path).size, program.length);
            }
            fails(e.ETXTBSY, m.open(path, c.O_RDONLY | c.O_TRUNC));
            equal(lstat(m, path).size, path === 'below' ? 0 : byFuse(t, 0, program.length));
          });
          ok(m.unlink(path));
        }
      },
    },
  'a chown of nothing, of a file that somebody writes: by FUSE as before a write': {
    lowers: [{}],
    upper: {
      theirs: file('content', { uid: 1000, gid: 1000, mode: 0o6755 }),
      capable: file('content', { mode: 0o6755, xattrs: { 'security.capability': capability } }),
    },
    needs: ['root'],
    run(m, t) {
      const writers = ['theirs', 'capable'].map((path) => open(m, path, c.O_WRONLY));
      m.as(stranger, () => gives(byFuse(t, 0, e.EPERM), m.chown('theirs', -1, -1)));
      modeIs(lstat(m, 'theirs').mode, byFuse(t, 0o755, 0o6755));
      ok(m.chown('capable', -1, -1));
      fails(e.ENODATA, m.getxattr('capable', 'security.capability'));
      modeIs(lstat(m, 'capable').mode, byFuse(t, 0o6755, 0o755));
      for (const fd of writers) {
        ok(m.close(fd));
      }
      ok(m.chmod('theirs', 0o600));
      ok(m.chmod('capable', 0o600));
    },
  },
  'what the page cache answers moves no atime by FUSE': {
    lowers: [{}],
    upper: { f: file('content'), d: dir({ x: file() }), p: fifo() },
    needs: ['vfs'],
    run(m, t) {
      const pipe = open(m, 'p', c.O_RDWR);
      const read = (): void => {
        bytesAre(readFile(m, 'f'), 'content');
        equal(names(m, 'd'), ['x']);
        equal(m.write(pipe, 'x'), 1);
        bytesAre(m.read(pipe, 1), 'x');
      };
      const back = (): void => {
        ok(m.utimens('f', OLD, 'omit'));
        ok(m.utimens('d', OLD, 'omit'));
        ok(m.utimens('p', OLD, 'omit'));
      };
      back();
      read();
      truly(later(atime(lstat(m, 'f')), OLD), 'the first reading moved no atime');
      back();
      read();
      if (t.target === 'kernel') {
        truly(later(atime(lstat(m, 'f')), OLD), 'the second reading of the file moved no atime');
        truly(later(atime(lstat(m, 'd')), OLD), 'the second listing moved no atime');
        truly(later(atime(lstat(m, 'p')), OLD), 'the reader of a FIFO moved no atime');
      } else {
        equal(atime(lstat(m, 'p')), OLD, 'atime of a FIFO');
        equal(atime(lstat(m, 'd')), OLD, 'atime of a directory that was cached');
      }
    },
  },
};
