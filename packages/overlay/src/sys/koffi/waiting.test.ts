import { describe, expect, it } from 'vitest';
import { useTempDir } from '../../../test/support/temp-dir.ts';
import {
  EFD_NONBLOCK,
  F_GETFD,
  FD_CLOEXEC,
  IN_CREATE,
  IN_IGNORED,
  IN_NONBLOCK,
  O_NONBLOCK,
  POLLHUP,
  POLLIN,
  POLLNVAL,
  POLLOUT,
} from '../constants.ts';
import { EAGAIN, EINVAL, ENOENT } from '../errno.ts';
import type { PollFd } from '../sys.ts';
import { openSys } from '../sys-koffi.ts';

const sys = openSys();
const dir = useTempDir(sys);
const NO_FD = 1 << 20;

describe('poll', () => {
  it('tells which descriptors are ready, and times out', () => {
    const event = sys.eventfd(0, EFD_NONBLOCK);
    const [r, w] = sys.pipe2(O_NONBLOCK) as [number, number];
    for (const fd of [event, r, w]) expect(sys.fcntl(fd, F_GETFD, 0)).toBe(FD_CLOEXEC);
    const fds: PollFd[] = [
      { fd: event, events: POLLIN, revents: 99 },
      { fd: r, events: POLLIN, revents: 99 },
    ];
    expect(sys.poll(fds, 0)).toBe(0);
    expect(fds.map((p) => p.revents)).toEqual([0, 0]);
    const start = performance.now();
    expect(sys.poll(fds, 30)).toBe(0);
    expect(performance.now() - start).toBeGreaterThan(25);

    const one = Buffer.alloc(8);
    one.writeBigUInt64LE(3n);
    expect(sys.write(event, one, 0, 8)).toBe(8);
    expect(sys.poll(fds, -1)).toBe(1);
    expect(fds.map((p) => p.revents)).toEqual([POLLIN, 0]);
    expect(sys.read(event, one, 0, 8)).toBe(8);
    expect(one.readBigUInt64LE()).toBe(3n);
    expect(sys.read(event, one, 0, 8)).toBe(-EAGAIN);

    sys.write(w, one, 0, 1);
    fds.push({ fd: w, events: POLLOUT, revents: 0 }, { fd: NO_FD, events: POLLIN, revents: 0 });
    expect(sys.poll(fds, -1)).toBe(3);
    expect(fds.map((p) => p.revents)).toEqual([0, POLLIN, POLLOUT, POLLNVAL]);
    sys.close(w);
    sys.read(r, one, 0, 8);
    expect(sys.poll([fds[1]], -1)).toBe(1);
    expect(fds[1].revents).toBe(POLLHUP);
    for (const fd of [event, r]) sys.close(fd);
  });

  it('takes more descriptors than its memory was made for', () => {
    const event = sys.eventfd(1, 0);
    const fds = Array.from({ length: 100 }, () => ({ fd: event, events: POLLIN, revents: 0 }));
    expect(sys.poll(fds, 0)).toBe(100);
    expect(fds.every((p) => p.revents === POLLIN)).toBe(true);
    expect(sys.poll([], 0)).toBe(0);
    sys.close(event);
  });

  it('answers errors of its kin', () => {
    expect(sys.eventfd(0, 0x7777)).toBe(-EINVAL);
    expect(sys.pipe2(0x7)).toBe(-EINVAL);
  });
});

describe('inotify', () => {
  it('tells what happens in a watched directory, until the watch is removed', () => {
    const fd = sys.inotifyInit1(IN_NONBLOCK);
    expect(sys.fcntl(fd, F_GETFD, 0)).toBe(FD_CLOEXEC);
    const wd = sys.inotifyAddWatch(fd, dir.at('.'), IN_CREATE);
    expect(wd).toBeGreaterThan(0);
    const buf = Buffer.alloc(1024);
    expect(sys.read(fd, buf, 0, 1024)).toBe(-EAGAIN);
    expect(sys.mkdirat(dir.fd, 'sub', 0o755)).toBe(0);
    expect(sys.read(fd, buf, 0, 1024)).toBe(32);
    expect(buf.readInt32LE(0)).toBe(wd);
    expect(buf.readUInt32LE(4) & IN_CREATE).toBe(IN_CREATE);
    expect(buf.toString('latin1', 16, 20)).toBe('sub\0');
    expect(sys.inotifyRmWatch(fd, wd)).toBe(0);
    expect(sys.read(fd, buf, 0, 1024)).toBe(16);
    expect(buf.readUInt32LE(4)).toBe(IN_IGNORED);
    expect(sys.inotifyRmWatch(fd, wd)).toBe(-EINVAL);
    expect(sys.inotifyAddWatch(fd, dir.at('missing'), IN_CREATE)).toBe(-ENOENT);
    sys.close(fd);
  });
});
