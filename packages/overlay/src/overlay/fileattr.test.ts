import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { isRoot } from '../../test/support/temp-dir.ts';
import { me, setattr, stat, touch, useUnion, walk } from '../../test/support/union.ts';
import { ATTR_MODE } from '../ops/ops.ts';
import {
  FS_APPEND_FL,
  FS_IMMUTABLE_FL,
  FS_IOC_GETFLAGS,
  FS_IOC_SETFLAGS,
  FS_SYNC_FL,
  O_RDONLY,
  O_WRONLY,
} from '../sys/constants.ts';
import { EIO, ENOSYS, ENOTTY, EOPNOTSUPP, EPERM, EROFS } from '../sys/errno.ts';
import { openSys } from '../sys/sys-koffi.ts';

const union = useUnion();

function flags(path: string): string {
  return execFileSync('lsattr', ['-d', path]).toString().split(' ')[0];
}

describe('file flags', () => {
  test('sync goes along with a copy-up', (ctx) => {
    writeFileSync(union.at('l1', 'f'), 'content');
    try {
      execFileSync('chattr', ['+S', union.at('l1', 'f')], { stdio: 'ignore' });
    } catch {
      ctx.skip('the filesystem of the temporary directory has no sync flag');
    }
    writeFileSync(union.at('l1', 'g'), 'content');
    execFileSync('chattr', ['+S', union.at('l1', 'g')]);
    const sys = openSys();
    let without = false;
    const ops = union.mount({
      ...sys,
      fileGetattr: (dirfd, name, at) => (without ? -ENOSYS : sys.fileGetattr(dirfd, name, at)),
    });
    for (const name of ['f', 'g']) {
      expect(setattr(ops, name, { valid: ATTR_MODE, mode: 0o600 })).toBe(0);
      expect(flags(union.at('u', name))).toContain('S');
      expect(ops.getflags(me, walk(ops, name)) & FS_SYNC_FL).toBe(FS_SYNC_FL);
      without = true;
    }
  });

  test('a filesystem that has no flags copies up without, and says ENOTTY when it is asked', () => {
    writeFileSync(union.at('l1', 'f'), 'content');
    const ops = union.mount({ ...openSys(), ioctl: () => -ENOTTY, fileGetattr: () => -EOPNOTSUPP });
    expect(ops.getflags(me, walk(ops, 'f'))).toBe(-ENOTTY);
    expect(touch(ops, 'f', O_WRONLY)).toBe(0);
    expect(ops.setflags(me, walk(ops, 'f'), 0)).toBe(-ENOTTY);
  });

  test('flags that cannot be read for another reason fail the copy-up', () => {
    writeFileSync(union.at('l1', 'f'), 'content');
    const sys = openSys();
    const ops = union.mount({
      ...sys,
      ioctl: (fd, request, arg) => (request === FS_IOC_GETFLAGS ? -EIO : sys.ioctl(fd, request, arg)),
      fileGetattr: () => -EIO,
    });
    expect(touch(ops, 'f', O_WRONLY)).toBe(-EIO);
    expect(touch(ops, 'f', O_RDONLY)).toBe(0);
  });

  test('no lower is asked to set anything', () => {
    writeFileSync(union.at('l1', 'f'), 'content');
    const ops = union.mount(openSys(), { upperdir: undefined, workdir: undefined });
    expect(ops.setflags(me, walk(ops, 'f'), FS_SYNC_FL)).toBe(-EROFS);
    const [lower] = ops.sb.lowers;
    const file = lower.open(ops.sb.root.lowers[0], O_RDONLY);
    expect(lower.fileattr(file, FS_IOC_SETFLAGS, Buffer.alloc(8))).toBe(-EROFS);
    lower.close(file);
  });

  test.skipIf(!isRoot)('a protection without its attribute is refused, and not in force', () => {
    writeFileSync(union.at('l1', 'f'), 'content');
    const sys = openSys();
    const refused = (name: string): boolean => name.endsWith('.protattr');
    const ops = union.mount({
      ...sys,
      setxattrat: (dirfd, path, name, value, how) =>
        refused(name) ? -EPERM : sys.setxattrat(dirfd, path, name, value, how),
    });
    const node = walk(ops, 'f');
    expect(ops.setflags(me, node, FS_IMMUTABLE_FL | FS_APPEND_FL)).toBe(-EPERM);
    expect(stat(ops, 'f').attributes & (FS_IMMUTABLE_FL | FS_APPEND_FL)).toBe(0);
    expect(touch(ops, 'f', O_WRONLY)).toBe(0);
  });
});
