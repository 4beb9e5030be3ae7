import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { useTempDir } from '../../test/support/temp-dir.ts';
import { sysCalls } from './calls.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CREAT,
  O_EXCL,
  O_RDWR,
  S_IFCHR,
  UTIME_NOW,
} from './constants.ts';
import { Stat } from './stat.ts';
import { openSys } from './sys-koffi.ts';
import { printCall, traceSys } from './sys-trace.ts';

const real = openSys();
const dir = useTempDir(real);

describe('traceSys', () => {
  it('writes one line a call, after it, and changes nothing', () => {
    const lines: string[] = [];
    const sys = traceSys(real, (line) => lines.push(line));
    const old = sys.umask(0o22);
    const fd = sys.openat(dir.fd, 'n\xff"\n', O_CREAT | O_EXCL | O_RDWR, 0o644);
    const buf = Buffer.from('..hello');
    sys.pwrite(fd, buf, 2, 5, 0);
    sys.pread(fd, buf, 0, 7, 1);
    sys.setxattrat(dir.fd, 'n\xff"\n', 'user.a', Buffer.from('v\0'), 0);
    sys.getxattrat(fd, '', 'user.a', Buffer.alloc(64));
    sys.statx(dir.fd, 'missing', AT_SYMLINK_NOFOLLOW, new Stat());
    sys.close(fd);
    const at = dir.fd;
    expect(lines).toEqual([
      `umask(0022) = ${old}`,
      `openat(${at}, "n\\xff\\"\\n", O_RDWR|O_CREAT|O_EXCL, 0644) = ${fd}`,
      `pwrite(${fd}, "hello", 5, 0) = 5`,
      `pread(${fd}, "ello", 7, 1) = 4`,
      `setxattrat(${at}, "n\\xff\\"\\n", "user.a", "v\\x00", 0) = 0`,
      `getxattrat(${fd}, "", "user.a", "v\\x00", 64) = 2`,
      `statx(${at}, "missing", AT_SYMLINK_NOFOLLOW, …) = -ENOENT`,
      `close(${fd}) = 0`,
    ]);
  });

  it('shows what was filled in', () => {
    const lines: string[] = [];
    const sys = traceSys(real, (line) => lines.push(line));
    writeFileSync(dir.at('f'), 'abc');
    const s = new Stat();
    sys.statx(dir.fd, 'f', 0, s);
    sys.statx(AT_FDCWD, '/dev/null', 0, s);
    sys.symlinkat('a"b', dir.fd, 'l');
    sys.readlinkat(dir.fd, 'l');
    sys.pipe2(0);
    expect(lines[0]).toMatch(/\{S_IFREG\|0644, dev=\d+:\d+, ino=\d+, nlink=1, uid=\d+, gid=\d+, size=3\}\) = 0$/);
    expect(lines[1]).toMatch(/"\/dev\/null", 0, \{S_IFCHR\|0666, .*, rdev=1:3\}\) = 0$/);
    expect(lines[3]).toMatch(/^readlinkat\(\d+, "l"\) = "a\\"b"$/);
    expect(lines[4]).toMatch(/^pipe2\(O_RDONLY\) = \[\d+, \d+\]$/);
  });
});

describe('printCall', () => {
  it.each([
    [
      printCall('utimensat', [3, '', 1, UTIME_NOW, -1, 5, AT_EMPTY_PATH], 0),
      'utimensat(3, "", 1, UTIME_NOW, -1, 5, AT_EMPTY_PATH) = 0',
    ],
    [printCall('mknodat', [3, 'd', S_IFCHR, 0x103], -1), 'mknodat(3, "d", S_IFCHR|0000, 1:3) = -EPERM'],
    [printCall('fsconfig', [3, 6, null, null, 0], 0), 'fsconfig(3, 6, NULL, NULL, 0) = 0'],
    [printCall('unlinkat', [AT_FDCWD, 'a', 0x200], -250), 'unlinkat(AT_FDCWD, "a", AT_REMOVEDIR) = -errno 250'],
    [printCall('fallocate', [3, 3, 0, 9], 0), 'fallocate(3, FALLOC_FL_KEEP_SIZE|FALLOC_FL_PUNCH_HOLE, 0, 9) = 0'],
    [printCall('lseek', [3, 0, 3], 5), 'lseek(3, 0, SEEK_DATA) = 5'],
    [printCall('write', [1, Buffer.alloc(100, 'a'), 0, 100], 100), `write(1, "${'a'.repeat(32)}"…, 100) = 100`],
    [printCall('poll', [[{ fd: 4, events: 1, revents: 1 }], -1], 1), 'poll([{fd=4, events=1, revents=1}], -1) = 1'],
    [
      printCall('nameToHandleAt', [3, 'f', 0], { type: 1, handle: Buffer.from('ab'), mountId: 7 }),
      'nameToHandleAt(3, "f", 0) = {type=1, handle=6162, mount=7}',
    ],
    [printCall('renameat2', [3, 'a', 4, 'b', 0x12], 0), 'renameat2(3, "a", 4, "b", RENAME_EXCHANGE|0x10) = 0'],
    [printCall('setgroups', [[1, 2]], 0), 'setgroups([1, 2]) = 0'],
  ])('%s', (line, expected) => expect(line).toBe(expected));
});

describe('the list of calls', () => {
  it('is the table, no more and no less', () => {
    expect([...sysCalls].sort()).toEqual(Object.keys(real).sort());
  });
});
