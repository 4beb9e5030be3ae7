/** What programs do with files, through a real FUSE mount served from a process of its own. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  LOCK_EX,
  LOCK_NB,
  LOCK_UN,
  O_RDWR,
  O_TMPFILE,
  SEEK_DATA,
  SEEK_HOLE,
  STATX_BTIME,
  XATTR_CREATE,
} from '../src/sys/constants.ts';
import { EAGAIN, EEXIST, ENODATA } from '../src/sys/errno.ts';
import { Stat } from '../src/sys/stat.ts';
import { openSys } from '../src/sys/sys-koffi.ts';
import { makeStage, requests, type Stage } from './support/served.ts';
import { isRoot, needsRoot } from './support/temp-dir.ts';

describe.runIf(isRoot)(needsRoot('files in a FUSE mount'), () => {
  const sys = openSys();
  let stage: Stage;
  const at = (name: string): string => path.join(stage.merged, name);

  beforeAll(async () => {
    stage = makeStage();
    fs.writeFileSync(path.join(stage.lower, 'low'), 'lower bytes');
    fs.mkdirSync(path.join(stage.lower, 'many'));
    for (let i = 0; i < 5000; i++) fs.writeFileSync(path.join(stage.lower, 'many', `file-${i}`), '');
    fs.writeFileSync(path.join(stage.lower, 'mode-rule'), 'x'.repeat(100));
    await stage.mount();
  });
  afterAll(() => stage.destroy());

  /** The requests that `act` caused. */
  function during(act: () => void): string {
    const before = stage.trace().length;
    act();
    // A request that was sent without waiting has been answered when this has.
    fs.statfsSync(stage.merged);
    return stage.trace().slice(before);
  }

  it('creates, writes, reads back, renames and removes', () => {
    fs.writeFileSync(at('new'), 'text');
    fs.appendFileSync(at('new'), ' and more');
    expect(fs.readFileSync(at('new'), 'utf8')).toBe('text and more');
    fs.renameSync(at('new'), at('renamed'));
    expect(fs.existsSync(at('new'))).toBe(false);
    expect(fs.readFileSync(path.join(stage.upper, 'renamed'), 'utf8')).toBe('text and more');
    fs.rmSync(at('renamed'));
    expect(fs.readdirSync(stage.merged)).not.toContain('renamed');
  });

  it('keeps a lower as it is when the file is appended to', () => {
    fs.appendFileSync(at('low'), '!');
    expect(fs.readFileSync(at('low'), 'utf8')).toBe('lower bytes!');
    expect(fs.readFileSync(path.join(stage.lower, 'low'), 'utf8')).toBe('lower bytes');
  });

  it('lists 5,000 entries, each once, also when some are gone and some are new', () => {
    expect(new Set(fs.readdirSync(at('many'))).size).toBe(5000);
    for (let i = 0; i < 100; i++) fs.rmSync(at(`many/file-${i}`));
    for (let i = 0; i < 50; i++) fs.writeFileSync(at(`many/new-${i}`), '');
    const names = fs.readdirSync(at('many'));
    expect(names.length).toBe(4950);
    expect(new Set(names).size).toBe(4950);
    expect(fs.readdirSync(at('many'), { withFileTypes: true }).every((entry) => entry.isFile())).toBe(true);
  });

  it('a second listing asks for nothing', () => {
    fs.readdirSync(at('many'));
    const trace = during(() => fs.readdirSync(at('many')));
    expect(requests(trace, 'READDIR') + requests(trace, 'READDIRPLUS')).toBe(0);
  });

  it('a missing name is asked for once', () => {
    expect(
      requests(
        during(() => fs.existsSync(at('nothing here'))),
        'LOOKUP',
      ),
    ).toBe(1);
    expect(
      requests(
        during(() => fs.existsSync(at('nothing here'))),
        'LOOKUP',
      ),
    ).toBe(0);
    fs.writeFileSync(at('nothing here'), 'now');
    expect(fs.readFileSync(at('nothing here'), 'utf8')).toBe('now');
  });

  it('statx tells the birth time', () => {
    const before = Math.floor(Date.now() / 1000) - 1;
    fs.writeFileSync(at('born'), '');
    const st = new Stat();
    expect(sys.statx(AT_FDCWD, at('born'), AT_SYMLINK_NOFOLLOW, st)).toBe(0);
    expect(st.mask & STATX_BTIME).toBe(STATX_BTIME);
    expect(st.btime).toBeGreaterThanOrEqual(before);
    expect(st.btime).toBeLessThanOrEqual(Date.now() / 1000 + 1);
  });

  it('extended attributes: set, get, list, remove, with their errnos', () => {
    fs.writeFileSync(at('xattr'), '');
    const value = Buffer.from([0, 255, 10]);
    const buf = Buffer.alloc(100);
    expect(sys.setxattrat(AT_FDCWD, at('xattr'), 'user.a', value, XATTR_CREATE)).toBe(0);
    expect(sys.setxattrat(AT_FDCWD, at('xattr'), 'user.a', value, XATTR_CREATE)).toBe(-EEXIST);
    expect(sys.getxattrat(AT_FDCWD, at('xattr'), 'user.a', Buffer.alloc(0))).toBe(3);
    expect(sys.getxattrat(AT_FDCWD, at('xattr'), 'user.a', buf)).toBe(3);
    expect(buf.subarray(0, 3)).toEqual(value);
    const size = sys.listxattrat(AT_FDCWD, at('xattr'), buf);
    expect(buf.toString('latin1', 0, size).split('\0')).toContain('user.a');
    expect(sys.removexattrat(AT_FDCWD, at('xattr'), 'user.a')).toBe(0);
    expect(sys.getxattrat(AT_FDCWD, at('xattr'), 'user.a', buf)).toBe(-ENODATA);
  });

  it('O_TMPFILE, then a name for it', () => {
    const fd = sys.openat(AT_FDCWD, stage.merged, O_TMPFILE | O_RDWR, 0o640);
    expect(fd).toBeGreaterThan(0);
    sys.write(fd, Buffer.from('unnamed'), 0, 7);
    expect(sys.linkat(fd, '', AT_FDCWD, at('named'), AT_EMPTY_PATH)).toBe(0);
    sys.close(fd);
    expect(fs.readFileSync(at('named'), 'utf8')).toBe('unnamed');
    expect(fs.statSync(at('named')).mode & 0o777).toBe(0o640 & ~process.umask());
  });

  it('fallocate, holes and SEEK_DATA', () => {
    const fd = fs.openSync(at('holes'), 'w+');
    expect(sys.fallocate(fd, 0, 0, 65_536)).toBe(0);
    expect(fs.fstatSync(fd).size).toBe(65_536);
    fs.writeSync(fd, Buffer.alloc(65_536, 1), 0, 65_536, 0);
    expect(sys.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 16_384, 16_384)).toBe(0);
    expect(sys.lseek(fd, 0, SEEK_HOLE)).toBe(16_384);
    expect(sys.lseek(fd, 16_384, SEEK_DATA)).toBe(32_768);
    const read = fs.readFileSync(at('holes'));
    expect([read[16_383], read[16_384], read[32_768]]).toEqual([1, 0, 1]);
    fs.closeSync(fd);
  });

  it('copy_file_range between two files', () => {
    fs.writeFileSync(at('from'), 'abcdefgh');
    const from = fs.openSync(at('from'), 'r');
    const to = fs.openSync(at('to'), 'w+');
    expect(sys.copyFileRange(from, 2, to, 1, 4)).toBe(4);
    expect(fs.readFileSync(at('to'), 'utf8')).toBe('\0cdef');
    fs.closeSync(from);
    fs.closeSync(to);
  });

  it('flock between two opens, left to the kernel', () => {
    fs.writeFileSync(at('lock'), '');
    const [a, b] = [fs.openSync(at('lock'), 'r'), fs.openSync(at('lock'), 'r+')];
    expect(sys.flock(a, LOCK_EX | LOCK_NB)).toBe(0);
    expect(sys.flock(b, LOCK_EX | LOCK_NB)).toBe(-EAGAIN);
    expect(sys.flock(a, LOCK_UN)).toBe(0);
    expect(sys.flock(b, LOCK_EX | LOCK_NB)).toBe(0);
    fs.closeSync(a);
    fs.closeSync(b);
  });

  describe('passthrough', () => {
    it('no READ and no WRITE comes for a file of the upper', () => {
      const trace = during(() => {
        fs.writeFileSync(at('direct'), Buffer.alloc(300_000, 7));
        expect(fs.readFileSync(at('direct')).every((byte) => byte === 7)).toBe(true);
      });
      expect(trace).toMatch(/tx \d+ CREATE OK .* passthrough id \d+/);
      expect(trace).toMatch(/tx \d+ OPEN OK .* passthrough id \d+/);
      expect([requests(trace, 'READ'), requests(trace, 'WRITE')]).toEqual([0, 0]);
    });

    it('a file opened on the lower stays cached for all until everybody has closed it', () => {
      const reader = fs.openSync(at('mode-rule'), 'r');
      const buf = Buffer.alloc(100);
      const trace = during(() => {
        fs.readSync(reader, buf, 0, 100, 0);
        // Copies up: this file and the next are complete in the upper, and could be passthrough.
        const writer = fs.openSync(at('mode-rule'), 'r+');
        const another = fs.openSync(at('mode-rule'), 'r');
        fs.writeSync(writer, 'Y', 0);
        fs.readSync(reader, buf, 0, 100, 0);
        expect(buf.toString('latin1', 0, 2)).toBe('Yx');
        fs.readSync(another, buf, 0, 100, 0);
        expect(buf.toString('latin1', 0, 2)).toBe('Yx');
        fs.closeSync(writer);
        fs.closeSync(another);
        fs.closeSync(reader);
      });
      expect(trace).not.toContain('passthrough id');
      const after = during(() => expect(fs.readFileSync(at('mode-rule'), 'utf8').slice(0, 2)).toBe('Yx'));
      expect(after).toContain('passthrough id');
    });

    it('while passthrough files live, every further open of the file works', () => {
      fs.writeFileSync(at('shared'), 'one');
      const fds = ['r', 'r+', 'a', 'r'].map((flags) => fs.openSync(at('shared'), flags));
      fs.writeSync(fds[2], ' two');
      expect(fs.readFileSync(at('shared'), 'utf8')).toBe('one two');
      for (const fd of fds) fs.closeSync(fd);
    });

    it('stores through a mapping move the mtime that stat shows', (context) => {
      const python = spawnSync('python3', ['-c', '0']).status === 0;
      context.skip(!python, 'python3 is not installed');
      fs.writeFileSync(at('mapped'), 'a'.repeat(8192));
      fs.utimesSync(at('mapped'), 1, 1);
      const script = `
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
os.stat(sys.argv[1])
m = mmap.mmap(fd, 8192)
m[5000] = 66
m.flush()
print(int(os.stat(sys.argv[1]).st_mtime), os.pread(fd, 1, 5000).decode())
m.close(); os.close(fd)
print(int(os.stat(sys.argv[1]).st_mtime))`;
      const out = spawnSync('python3', ['-c', script, at('mapped')], { encoding: 'utf8', timeout: 10_000 });
      const [during, byte, after] = out.stdout.split(/\s+/);
      expect(byte).toBe('B');
      expect(Number(during)).toBeGreaterThan(1);
      expect(Number(after)).toBe(Number(during));
      expect(fs.readFileSync(path.join(stage.upper, 'mapped'))[5000]).toBe(66);
    });
  });

  it('a mapping of a lower file reads its bytes', (context) => {
    const script = `
import mmap, sys
with open(sys.argv[1], 'rb') as f: print(mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)[:5].decode())`;
    const out = spawnSync('python3', ['-c', script, at('low')], { encoding: 'utf8', timeout: 10_000 });
    context.skip(out.error !== undefined, 'python3 is not installed');
    expect(out.stdout).toBe('lower\n');
  });

  it('the trace can be read: every request has its answer', () => {
    const trace = during(() => fs.statSync(at('many')));
    fs.mkdirSync(at('traced'));
    const lines = stage.trace().split('\n');
    const made = lines.findIndex((line) => /^rx \d+ MKDIR n1 "traced" mode 0\d+ \{uid 0 gid 0 pid \d+\}$/.test(line));
    expect(made).toBeGreaterThan(0);
    expect(lines[made + 1]).toMatch(/^tx \d+ MKDIR OK n\d+ \{dir 755 ino \d+ size \d+ nlink \d+ 0:0\}$/);
    expect(requests(trace, 'STATFS')).toBe(1);
    expect(requests(stage.trace(), 'FLUSH')).toBeLessThanOrEqual(1);
  });
});
