/** What was opened, mapped, locked, watched or looked at before a copy-up, and what it shows after. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import {
  ctime,
  fstat,
  later,
  lstat,
  mtime,
  names,
  open,
  readAll,
  readFile,
  tick,
  vfs,
  writeAll,
  writeFile,
} from '../calls.ts';
import { bytesAre, equal, fails, gives, ok, truly } from '../expect.ts';
import type { OverlayCase, OverlayCases } from '../overlay-case.ts';
import type { Door } from '../target.ts';
import { dir, file, OLD, type Tree } from '../tree.ts';

const PAGE = 4096;
const RW: number = c.PROT_READ | c.PROT_WRITE;

/** What copies `d/f` up. */
const triggers: Readonly<Record<string, (m: Door) => unknown>> = {
  chmod: (m) => m.chmod('d/f', 0o600),
  'opening for writing': (m) => m.open('d/f', c.O_RDWR),
  'O_TRUNC of a reader': (m) => m.open('d/f', c.O_RDONLY | c.O_TRUNC),
  utimens: (m) => m.utimens('d/f', [1, 1], [2, 2]),
  setxattr: (m) => m.setxattr('d/f', 'user.a', '1'),
  'chmod of what lies below': (m) => m.chmod('d/sub/g', 0o600),
};

function looks(): OverlayCases {
  const cases: Record<string, OverlayCase> = {};
  const below: Tree = { d: dir({ f: file('content'), sub: dir({ g: file('g') }) }) };
  for (const [what, act] of Object.entries(triggers)) {
    for (const [where, upper] of [
      ['a lower directory', undefined],
      ['a merged directory', { d: dir({ own: file(), sub: dir() }) }],
    ] as const) {
      cases[`${what} in ${where} shows in its ctime at once, and not in its mtime`] = {
        lowers: [below],
        upper,
        run(m) {
          const before = lstat(m, 'd');
          ok(m.lstat('d/sub'));
          tick();
          ok(act(m));
          const after = lstat(m, 'd');
          equal(mtime(after), mtime(before), 'mtime');
          const touched = upper === undefined || what !== 'chmod of what lies below';
          equal(later(ctime(after), ctime(before)), touched, 'ctime moved');
          if (what === 'chmod of what lies below') {
            truly(later(ctime(lstat(m, 'd/sub')), ctime(before)), 'ctime of d/sub did not move');
          }
        },
      };
    }
  }
  return cases;
}

export const coherenceCases: OverlayCases = {
  ...looks(),
  'a shared mapping from before the copy-up: ours shows what is written after it, the kernel’s what was below': {
    lowers: [{ f: file('content') }],
    needs: ['vfs'],
    run(m, t) {
      const reader = open(m, 'f', c.O_RDONLY);
      const at = ok<number>(vfs(m).mmap(reader, PAGE, c.PROT_READ, c.MAP_SHARED));
      bytesAre(vfs(m).peek(at, 7), 'content');
      const writer = open(m, 'f', c.O_RDWR);
      writeAll(m, writer, 'written');
      bytesAre(vfs(m).peek(at, 7), t.ours ? 'written' : 'content');
      const stores = ok<number>(vfs(m).mmap(writer, PAGE, RW, c.MAP_SHARED));
      equal(vfs(m).poke(stores, 'stored'), 6);
      bytesAre(vfs(m).peek(at, 7), t.ours ? 'storedn' : 'content');
      bytesAre(readAll(m, reader), 'storedn');
      vfs(m).elsewhere(`sys.pwrite(sys.openat(c.AT_FDCWD, 'f', c.O_WRONLY, 0), Buffer.from('they'), 0, 4, 0);`);
      bytesAre(vfs(m).peek(at, 7), t.ours ? 'theyedn' : 'content');
      bytesAre(vfs(m).peek(stores, 7), 'theyedn');
    },
  },
  'a mapping by another process from before the copy-up: ours shows it what is written after': {
    lowers: [{ f: file('content') }],
    needs: ['vfs'],
    run(m, t) {
      // The other process maps first, then has this very file written by a third one.
      const seen = vfs(m).elsewhere(`
        import { execFileSync } from 'node:child_process';
        const fd = sys.openat(c.AT_FDCWD, 'f', c.O_RDONLY, 0);
        const at = sys.mmap(fd, 4096, c.PROT_READ, c.MAP_SHARED, 0);
        const seen = Buffer.alloc(7);
        sys.readMemory(at, seen, 0, 7);
        execFileSync('sh', ['-c', 'printf written >f']);
        sys.readMemory(at, seen, 0, 7);
        console.log(seen.toString());`);
      equal(seen, t.ours ? 'written\n' : 'content\n');
    },
  },
  'a file that is open from before the copy-up: writers, mappings and O_DIRECT beside a reader': {
    lowers: [{ f: file(Buffer.alloc(2 * PAGE, 'a')) }],
    needs: ['vfs'],
    run(m) {
      const reader = open(m, 'f', c.O_RDONLY);
      bytesAre(m.pread(reader, 3, 0), 'aaa');
      const writer = open(m, 'f', c.O_RDWR);
      const at = ok<number>(vfs(m).mmap(writer, 2 * PAGE, RW, c.MAP_SHARED));
      const before = fstat(m, reader);
      tick();
      equal(vfs(m).poke(at + PAGE, 'stored'), 6);
      bytesAre(m.pread(reader, 7, PAGE), 'storeda');
      ok(vfs(m).msync(at, 2 * PAGE));
      truly(later(mtime(fstat(m, reader)), mtime(before)), 'mtime did not move');
      const direct = open(m, 'f', c.O_RDWR | c.O_DIRECT);
      equal(vfs(m).directWrite(direct, Buffer.alloc(PAGE, 'd'), 0), PAGE);
      bytesAre(vfs(m).peek(at, 3), 'ddd');
      bytesAre(m.pread(reader, 3, 0), 'ddd');
      ok(m.fallocate(writer, c.FALLOC_FL_PUNCH_HOLE | c.FALLOC_FL_KEEP_SIZE, 0, PAGE));
      bytesAre(vfs(m).peek(at, 3), '\0\0\0');
      ok(m.ftruncate(writer, PAGE));
      fails(e.EFAULT, vfs(m).peek(at + PAGE, 1));
      equal(fstat(m, reader).size, PAGE);
      vfs(m).limited(PAGE, () => {
        fails(e.EFBIG, m.pwrite(writer, 'x', PAGE));
        fails(e.EFBIG, m.ftruncate(writer, PAGE + 1));
      });
    },
  },
  'a lower file that is open for reading and has lost its name: ours is there until it is closed, the kernel’s takes no change':
    {
      lowers: [{ f: file('content'), g: file('other'), h: file() }],
      run(m, t) {
        const losses: readonly (readonly [path: string, lose: () => number])[] = [
          ['f', () => m.unlink('f')],
          [
            'g',
            () => {
              writeFile(m, 'new', 'new');
              return m.rename('new', 'g');
            },
          ],
        ];
        for (const [path, lose] of losses) {
          const fd = open(m, path, c.O_RDONLY);
          const content = readAll(m, fd);
          ok(lose());
          equal(fstat(m, fd).nlink, t.ours ? 0 : 1);
          const results = [
            m.fchmod(fd, 0o600),
            m.futimens(fd, [1, 1], [2, 2]),
            m.fsetxattr(fd, 'user.a', 'v'),
            m.fremovexattr(fd, 'user.a'),
          ];
          for (const [i, result] of results.entries()) {
            // There is nothing to remove where nothing was set.
            gives(t.ours ? 0 : i < 3 ? e.EEXIST : e.ENODATA, result);
          }
          bytesAre(readAll(m, fd), content);
          equal(fstat(m, fd).mode & 0o7777, t.ours ? 0o600 : 0o644);
        }
        equal(t.inUpper('f'), true);
        bytesAre(readFile(m, 'g'), 'new');
        // The kernel has marked the directory as one with copies before it found that there is no name.
        ok(m.chmod('h', 0o600));
      },
    },
  'a lower directory that is open and has lost its name: ours shows no link, and takes no unnamed file either': {
    lowers: [{ d: dir(), e: dir(), f: dir({ x: file() }) }],
    run(m, t) {
      const removed = open(m, 'd', c.O_RDONLY | c.O_DIRECTORY);
      const replaced = open(m, 'e', c.O_RDONLY | c.O_DIRECTORY);
      ok(m.rmdir('d'));
      ok(m.rename('f', 'e'));
      for (const fd of [removed, replaced]) {
        const { nlink } = fstat(m, fd);
        // How many links an empty directory has is the lower's filesystem's to say.
        truly(t.ours ? nlink === 0 : nlink > 0, `${nlink} links`);
      }
      equal(names(m, 'e'), ['x']);
    },
  },
  'O_TMPFILE in a directory that was removed': {
    lowers: [{}],
    upper: { d: dir() },
    needs: ['vfs'],
    run(m, t) {
      const fd = open(m, 'd', c.O_RDONLY | c.O_DIRECTORY);
      ok(m.rmdir('d'));
      const made = m.open(`/proc/self/fd/${fd}`, c.O_TMPFILE | c.O_RDWR, 0o600);
      if (t.ours) {
        fails(e.ENOENT, made);
      } else {
        // As the upper's filesystem has it: ext4 refuses, others make the file.
        truly(made >= 0 || made === -e.EPERM, `O_TMPFILE gave ${made}`);
      }
    },
  },
  'RLIMIT_FSIZE is the writer’s: a copy-up of more is not held up by ours, and EFBIG by the kernel’s': {
    lowers: [{ f: file(Buffer.alloc(20_000, 'a')) }],
    needs: ['vfs'],
    run(m, t) {
      vfs(m).limited(10_000, () => {
        const result = m.chmod('f', 0o600);
        if (t.ours) {
          ok(result);
        } else {
          fails(e.EFBIG, result);
        }
      });
      equal(t.inUpper('f'), t.ours);
      ok(m.chmod('f', 0o600));
    },
  },
  'the birth time of a lower file becomes that of its copy': {
    lowers: [{ f: file('content') }],
    run(m, t) {
      const born = (st: ReturnType<typeof lstat>): unknown => [st.btime, st.btimeNsec];
      equal(born(lstat(m, 'f')), born(lstat(t.lower(0), 'f')));
      writeFile(m, 'f', 'changed');
      equal(born(lstat(m, 'f')), born(lstat(t.upper(), 'f')));
      equal(mtime(lstat(t.lower(0), 'f')), OLD);
    },
  },
  'the birth time of a lower file after a chmod: by FUSE that of the lower': {
    lowers: [{ f: file('content') }],
    run(m, t) {
      const born = (st: ReturnType<typeof lstat>): unknown => [st.btime, st.btimeNsec];
      equal(born(lstat(m, 'f')), born(lstat(t.lower(0), 'f')));
      ok(m.chmod('f', 0o600));
      equal(born(lstat(m, 'f')), born(lstat(t.target === 'fuse' ? t.lower(0) : t.upper(), 'f')));
      const fd = open(m, 'f', c.O_WRONLY);
      equal(born(lstat(m, 'f')), born(lstat(t.target === 'fuse' ? t.lower(0) : t.upper(), 'f')));
      ok(m.close(fd));
    },
  },
};
