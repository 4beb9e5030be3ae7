import { describe, expect, it } from 'vitest';
import { ENODEV, ENOENT } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';
import { type Backend, chooseBackend } from './backend.ts';
import { isMountError } from './mount-error.ts';
import { parseOptions } from './parse-options.ts';

/** A process that may mount the kernel's overlay. */
const able = {
  getcap: () => [0xffffffff, 0xff],
  fsopen: () => 9,
  close: () => 0,
  openat: () => -ENOENT,
} as unknown as Sys;
const ordinary = { ...able, getcap: () => [0, 0] } as unknown as Sys;
const noOverlay = { ...able, fsopen: () => -ENODEV } as unknown as Sys;

function choose(sys: Sys, text: string, asked: 'auto' | Backend = 'auto'): string {
  try {
    const options = parseOptions([`lowerdir=/l,upperdir=/u,workdir=/w,${text}`]);
    const { backend, reason } = chooseBackend(sys, options, asked);
    return `${backend}: ${reason}`;
  } catch (error) {
    if (isMountError(error)) return `${error.exitStatus} ${error.errnoName}: ${error.message}`;
    throw error;
  }
}

describe('chooseBackend', () => {
  it.each([
    ['', able, 'auto', 'kernel: it can do all that was asked for'],
    ['ro,nosuid,allow_other,index=on,metacopy=on', able, 'auto', 'kernel: it can do all that was asked for'],
    ['', able, 'fuse', 'fuse: it was asked for'],
    ['', able, 'kernel', 'kernel: it was asked for'],
    ['whiteouts=aufs', able, 'auto', "fuse: the kernel's overlay does not have whiteouts"],
    ['timeout=1', able, 'auto', "fuse: the kernel's overlay does not have timeout"],
    ['timeout=1', able, 'kernel', '32 EINVAL: the kernel backend does not have timeout'],
    ['lower_io=passthrough', able, 'auto', "fuse: the kernel's overlay does not have lower_io"],
    [
      'lower_io=passthrough',
      ordinary,
      'auto',
      '32 EINVAL: lower_io needs the fuse backend, but lower_io=passthrough needs CAP_SYS_ADMIN in the initial user namespace',
    ],
    [
      'lower_io=passthrough,index=on,nfs_export=on',
      able,
      'fuse',
      '32 EINVAL: the fuse backend does not have the option lower_io=passthrough with nfs_export',
    ],
    ['index=on,nfs_export=on', able, 'fuse', 'fuse: it was asked for'],
    ['override_creds', able, 'fuse', 'fuse: it was asked for'],
    ['nooverride_creds', able, 'fuse', '32 EINVAL: the fuse backend does not have the option nooverride_creds'],
    ['copyup=lazy', able, 'auto', "fuse: the kernel's overlay does not have copyup"],
    ['copyup=lazy', able, 'kernel', '32 EINVAL: the kernel backend does not have copyup'],
    [
      'timeout=1,nooverride_creds',
      able,
      'auto',
      '32 EINVAL: timeout needs the fuse backend, but the fuse backend does not have the option nooverride_creds',
    ],
    [
      '',
      ordinary,
      'auto',
      "fuse: the kernel's overlay cannot be used: this user may not mount it (CAP_SYS_ADMIN is missing)",
    ],
    [
      '',
      ordinary,
      'kernel',
      "1 EPERM: the kernel's overlay cannot be used: this user may not mount it (CAP_SYS_ADMIN is missing)",
    ],
    [
      '',
      noOverlay,
      'auto',
      "fuse: the kernel's overlay cannot be used: this kernel has no overlay filesystem (modprobe overlay loads it)",
    ],
    [
      'nooverride_creds',
      ordinary,
      'auto',
      "32 EINVAL: the fuse backend does not have the option nooverride_creds, and the kernel's cannot be used: this user may not mount it (CAP_SYS_ADMIN is missing)",
    ],
  ] as const)('%s', (text, sys, asked, expected) => {
    expect(choose(sys, text, asked)).toBe(expected);
  });

  it('takes FUSE for more layers than the kernel stacks', () => {
    const options = parseOptions([`lowerdir=${Array.from({ length: 501 }, (_, i) => `/${i}`).join(':')}`]);
    expect(chooseBackend(able, options, 'auto')).toEqual({
      backend: 'fuse',
      reason: "the kernel's overlay does not have more than 500 lower layers",
    });
  });
});
