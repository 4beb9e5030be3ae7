import { describe, expect, it } from 'vitest';
import { MS_NODEV, MS_NOSUID, MS_RDONLY, MS_RELATIME } from '../sys/constants.ts';
import { EACCES, EBUSY, ECONNABORTED, EMFILE, ENODEV, ENOENT, ENOTCONN, ENXIO, EPERM } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { detachMount, findMount, mountFuse, openFuseDevice, raiseReadAhead, removeDeadMount } from './fuse-mount.ts';
import { isMountError, type MountError } from './mount-error.ts';

const POINT = 40;
const line = (id: number, parent: number, device: string, at: string, type = 'fuse.strata-overlay'): string =>
  `${id} ${parent} ${device} / ${at} rw - ${type} s rw\n`;

/** A system with `mountinfo` as its mount table; calls that change something are kept. */
function system(mountinfo: string, answers: Partial<Sys> = {}) {
  const calls: string[] = [];
  const files = new Map<number, Buffer>();
  const texts: Record<string, string> = {
    '/proc/thread-self/mountinfo': mountinfo,
    '/proc/self/uid_map': '         0          0 4294967295\n',
  };
  const sys = {
    openat(_dirfd: number, name: string) {
      if (!(name in texts)) return -ENOENT;
      files.set(files.size + 100, Buffer.from(texts[name]));
      return files.size + 99;
    },
    read(fd: number, buf: Uint8Array) {
      const rest = files.get(fd)!;
      files.set(fd, Buffer.alloc(0));
      buf.set(rest);
      return rest.length;
    },
    close: () => 0,
    geteuid: () => 5,
    getegid: () => 6,
    readlinkat: () => '/m',
    fstat: () => 0,
    mount(...args: unknown[]) {
      calls.push(`mount ${args.join(' ')}`);
      return 0;
    },
    umount2(target: string, flags: number) {
      calls.push(`umount2 ${target} ${flags}`);
      return 0;
    },
    ...answers,
  } as unknown as Sys;
  return { sys, calls, texts };
}

function refused(act: () => unknown): MountError {
  try {
    act();
  } catch (error) {
    if (isMountError(error)) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

describe('openFuseDevice', () => {
  it.each([
    [ENOENT, 32, 'modprobe fuse'],
    [ENODEV, 32, 'modprobe fuse'],
    [ENXIO, 32, 'modprobe fuse'],
    [EACCES, 1, 'chmod 666 /dev/fuse'],
    [EPERM, 1, 'chmod 666 /dev/fuse'],
    [EMFILE, 2, 'EMFILE'],
  ])('errno %d is exit status %d with a sentence', (errno, exitStatus, words) => {
    const { sys } = system('', { openat: () => -errno });
    const error = refused(() => openFuseDevice(sys));
    expect(error).toMatchObject({ errno: -errno, exitStatus });
    expect(error.message).toContain(words);
  });
});

describe('mountFuse', () => {
  const mounted = line(1, 0, '8:1', '/', 'ext4') + line(9, 1, '0:77', '/m');

  it('hands over the descriptor and ids; the source is an argument of its own', () => {
    const { sys, calls } = system(mounted);
    const made = mountFuse(sys, 12, POINT, 'a, b c', { readOnly: true });
    expect(made).toEqual({ mountPoint: '/m', device: '0:77' });
    expect(calls).toEqual([
      `mount a, b c /proc/self/fd/40 fuse.strata-overlay ${MS_RDONLY | MS_RELATIME}` +
        ' fd=12,rootmode=40000,user_id=5,group_id=6,default_permissions,allow_other',
    ]);
  });

  it('is nosuid and nodev in a user namespace, whatever was asked', () => {
    const { sys, calls, texts } = system(mounted);
    texts['/proc/self/uid_map'] = '0 1000 1\n';
    mountFuse(sys, 12, POINT, 's', {});
    expect(calls[0]).toContain(` ${MS_NOSUID | MS_NODEV | MS_RELATIME} `);
  });

  it.each([
    [ENODEV, 32],
    [EPERM, 1],
    [EACCES, 1],
    [EBUSY, 32],
  ])('errno %d of mount(2) is exit status %d', (errno, exitStatus) => {
    const { sys } = system(mounted, { mount: () => -errno });
    expect(refused(() => mountFuse(sys, 12, POINT, 's', {}))).toMatchObject({ errno: -errno, exitStatus });
  });

  it('a mount that vanished at once is an error, not another mount', () => {
    const { sys } = system(line(1, 0, '8:1', '/m', 'ext4'));
    expect(refused(() => mountFuse(sys, 12, POINT, 's', {})).message).toContain("'/m'");
  });
});

describe('detachMount', () => {
  it('finds the mount by its device wherever it was moved to, binds too', () => {
    const table = line(1, 0, '8:1', '/', 'ext4') + line(9, 1, '0:77', '/moved') + line(10, 1, '0:77', '/bind');
    const { sys, calls } = system(table);
    expect(detachMount(sys, '0:77')).toBe(0);
    expect(calls).toEqual(['umount2 /moved 2', 'umount2 /bind 2']);
  });

  it('never takes away what lies on top of it', () => {
    const { sys, calls } = system(line(9, 1, '0:77', '/m') + line(10, 9, '0:78', '/m', 'tmpfs'));
    expect(detachMount(sys, '0:77')).toBe(-ENOENT);
    expect(calls).toEqual([]);
  });
});

describe('removeDeadMount', () => {
  const point: Partial<Sys> = {
    openat: (_dirfd, name) => (name === '/m' ? POINT : 101),
  };

  it.each([ENOTCONN, ECONNABORTED])('detaches ours where every look is errno %d', (errno) => {
    const table = line(9, 1, '0:77', '/m');
    const made = system(table);
    const sys = {
      ...made.sys,
      openat: (d: number, n: string) => (n === '/m' ? POINT : made.sys.openat(d, n, 0, 0)),
      fstat: () => -errno,
    };
    expect(removeDeadMount(sys, '/m')).toBe(true);
    expect(made.calls).toEqual(['umount2 /m 2']);
  });

  it('leaves a mount alone that answers', () => {
    const { sys, calls } = system(line(9, 1, '0:77', '/m'), point);
    expect(removeDeadMount(sys, '/m')).toBe(false);
    expect(calls).toEqual([]);
  });

  it('leaves another program’s dead mount alone', () => {
    const made = system(line(9, 1, '0:77', '/m', 'fuse.sshfs'));
    const sys = {
      ...made.sys,
      openat: (d: number, n: string) => (n === '/m' ? POINT : made.sys.openat(d, n, 0, 0)),
      fstat: () => -ENOTCONN,
    };
    expect(removeDeadMount(sys, '/m')).toBe(false);
    expect(made.calls).toEqual([]);
  });
});

describe('on this system', () => {
  it('there is no mount of a device that does not exist, and nothing to raise', () => {
    const sys = openSys();
    expect(findMount(sys, '0:1048570')).toBeUndefined();
    expect(detachMount(sys, '0:1048570')).toBe(-ENOENT);
    expect(() => raiseReadAhead(sys, '0:1048570')).not.toThrow();
  });
});
