/**
 * A mount without root: an ordinary user in a user namespace of his own, with a /dev/fuse that is open to him
 * as on most systems. Marks are `user.overlay.*`, which the kernel reads with `userxattr`; set-user-id bits
 * and devices count for nothing.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { repository } from './support/programs.ts';
import { requireMachine } from './support/require.ts';
import { Sandbox } from './support/sandbox.ts';

const able = requireMachine('setpriv', 'findmnt', 'getfattr', 'umount');

/** bash: runs a script as root of the user's own namespace. */
const asUser = (script: string) => `export STRATA=$PWD/checkout/packages/cli/bin/strata.js TMPDIR=$PWD/tmp
  setpriv --reuid 1234 --regid 1234 --clear-groups unshare -Urm bash -eu -o pipefail <<'END'
${script}
END`;

const union = '-o "lowerdir=$PWD/lower,upperdir=$PWD/upper,workdir=$PWD/work"';

describe('an ordinary user in a user namespace', () => {
  let box: Sandbox;
  beforeAll(async () => {
    if (!able) return;
    box = await Sandbox.open();
    await box.sh(`mknod -m 666 fuse c 10 229; mount --bind fuse /dev/fuse
      mkdir -m 1777 tmp; mkdir checkout; mount --bind ${repository} checkout
      mkdir -p lower/dir lower/old upper work merged; echo lower > lower/file; echo gone > lower/gone; echo in > lower/dir/in
      echo o > lower/old/o; cp "$(command -v id)" lower/id; chown -R 1234:1234 lower upper work merged; chmod 4755 lower/id`);
  });
  afterAll(() => box?.close());

  test('mounts by FUSE: nosuid, nodev, and a directory of the lower can be renamed', async () => {
    const out = await box.sh(
      asUser(`$STRATA mount --backend fuse ${union} merged
        findmnt -n -o FSTYPE,VFS-OPTIONS merged
        echo upper >> merged/file; rm merged/gone; rm -r merged/old; mkdir merged/old; mv merged/dir merged/moved
        cat merged/file merged/moved/in; ls -A merged/old; merged/id -u
        umount merged`),
    );
    const [mounted, ...rest] = out.trim().split('\n');
    expect(mounted).toMatch(/^fuse/);
    expect(mounted).toContain('nosuid');
    expect(mounted).toContain('nodev');
    expect(rest).toEqual(['lower', 'upper', 'in', '0']);
  });

  test('marks are user.overlay.*, whiteouts are devices 0:0, and the user owns it all', async () => {
    expect(
      await box.sh(`getfattr --only-values -n user.overlay.opaque upper/old; echo
        getfattr --only-values -n user.overlay.redirect upper/moved; echo
        stat -c '%F %t:%T' upper/gone; find upper -not -uid 1234 | wc -l
        ! getfattr -R -d -m trusted.overlay upper | grep .`),
    ).toBe('y\ndir\ncharacter special file 0:0\n0\n');
  });

  test("the kernel's overlay shows the same with userxattr, but for the renamed directory", async () => {
    const out = await box.sh(
      asUser(`mount -t overlay kernel -o "userxattr,lowerdir=$PWD/lower,upperdir=$PWD/upper,workdir=$PWD/work" merged
        cat merged/file; ls -A merged/old; test ! -e merged/gone; test ! -e merged/dir; stat merged/moved 2>&1 || true
        umount merged`),
    );
    expect(out).toBe("lower\nupper\nstat: cannot statx 'merged/moved': Operation not permitted\n");
  });
});
