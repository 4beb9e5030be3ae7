/**
 * mount(8) and an fstab line. mount(8) calls /sbin/mount.fuse.strata-overlay, a link that the README
 * says to make; here it is made in a private view of /usr/sbin, so that this machine keeps none.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { requireMachine } from './support/require.ts';
import { Sandbox } from './support/sandbox.ts';

const able = requireMachine('mount', 'findmnt', 'umount');

describe('mount -t fuse.strata-overlay', () => {
  let box: Sandbox;

  beforeAll(async () => {
    if (!able) return;
    box = await Sandbox.open();
    await box.sh(`mkdir lower upper work merged sbin sbinwork
      echo lower > lower/file; echo gone > lower/gone
      mount -t overlay sbin -o "lowerdir=/usr/sbin,upperdir=$PWD/sbin,workdir=$PWD/sbinwork" /usr/sbin
      ln -s "$OVERLAY" /usr/sbin/mount.fuse.strata-overlay`);
  });
  afterAll(() => box?.close());

  const row = async () => {
    const [type, source, options] = (await box.sh('findmnt -n -r -o FSTYPE,SOURCE,VFS-OPTIONS merged'))
      .trim()
      .split(' ');
    return { type, source, options: options.split(',') };
  };

  test('mounts with the type, the SOURCE and the generic options that were given', async () => {
    await box.sh(
      'mount -t fuse.strata-overlay my-source "$PWD/merged" -o "noatime,nosuid,nodev,lowerdir=$PWD/lower,upperdir=$PWD/upper,workdir=$PWD/work"',
    );
    const { type, source, options } = await row();
    expect(type).toBe('fuse.strata-overlay');
    expect(source).toBe('my-source');
    expect(options).toEqual(expect.arrayContaining(['rw', 'noatime', 'nosuid', 'nodev']));
    const listed = await box.sh('"$STRATA" mount');
    for (const shown of ['my-source', 'fuse', 'lower', 'upper']) expect(listed).toContain(shown);
    await box.sh('rm merged/gone; echo upper > merged/file; test "$(cat lower/file)" = lower; test -c upper/gone');
    await box.sh('umount merged; ! mountpoint -q merged');
  });

  test('mounts by a line of fstab, read-only when it says so', async () => {
    await box.sh(
      'echo "tab $PWD/merged fuse.strata-overlay noauto,ro,lowerdir=$PWD/lower,upperdir=$PWD/upper,workdir=$PWD/work 0 0" > fstab',
    );
    await box.sh('mount -T fstab "$PWD/merged"');
    const { type, source, options } = await row();
    expect(type).toBe('fuse.strata-overlay');
    expect(source).toBe('tab');
    expect(options).toContain('ro');
    const write = await box.try('echo x > merged/file');
    expect(write.code).not.toBe(0);
    expect(write.stderr).toContain('Read-only file system');
    await box.sh('umount merged');
  });

  test('mounted by root it is for every user, honours set-user-id, and the kernel checks rights', async () => {
    await box.sh(
      'cp "$(command -v id)" lower/id; chmod 4755 lower/id; echo secret > lower/secret; chmod 600 lower/secret',
    );
    await box.sh(
      'mount -t fuse.strata-overlay suid "$PWD/merged" -o "lowerdir=$PWD/lower,upperdir=$PWD/upper,workdir=$PWD/work"',
    );
    const asUser = 'setpriv --reuid 1234 --regid 1234 --clear-groups';
    expect(await box.sh(`${asUser} merged/id -u`)).toBe('0\n');
    const read = await box.try(`${asUser} cat merged/secret`);
    expect(read).toMatchObject({ code: 1, stderr: expect.stringContaining('Permission denied') });
    await box.sh('umount merged');
  });

  test('a mount that cannot be made ends mount(8) with its code 32 and one sentence', async () => {
    const { code, stderr } = await box.try(
      'mount -t fuse.strata-overlay bad "$PWD/merged" -o "lowerdir=$PWD/nowhere,upperdir=$PWD/upper,workdir=$PWD/work"',
    );
    expect(code).toBe(32);
    expect(stderr).toContain('nowhere');
    expect(stderr).toContain('ENOENT');
    expect(stderr.trim().split('\n')).toHaveLength(1);
    await box.sh('! mountpoint -q merged');
  });
});
