/**
 * A mount without root: an ordinary user in a user namespace of his own, with a /dev/fuse that is open to him
 * as on most systems. Marks are `user.overlay.*`, which the kernel reads with `userxattr`; set-user-id bits
 * and devices count for nothing, and who owns a file there but him is nobody.
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

  test('what is copied up stays one inode with its number, by all names, while it is mounted', async () => {
    const out = await box.sh(`mkdir -p n/lower/d n/upper n/work n/merged
      echo a > n/lower/a; echo b > n/lower/d/b; chown -R 1234:1234 n
      ${asUser(`cd n; $STRATA mount --backend fuse ${union} merged
        before=$(stat -c %i merged/a merged/d merged/d/b)
        chmod 600 merged/a; echo more >> merged/d/b; mv merged/a merged/d/a; ln merged/d/a merged/hard; mv merged/d merged/moved
        test "$before" = "$(stat -c %i merged/hard merged/moved merged/moved/b)" && echo same
        test "$(stat -c %i merged/hard)" = "$(stat -c %i merged/moved/a)" && echo one
        chmod 640 merged/hard; stat -c %a merged/moved/a; { mv -T merged/hard merged/moved/a 2>&1 || true; } | grep -o 'same file'
        umount merged`)}`);
    expect(out).toBe('same\none\n640\nsame file\n');
  });

  test('a write takes set-user-ID away from root of a namespace too, one that RLIMIT_FSIZE refuses does not', async () => {
    const out = await box.sh(`mkdir -p r/lower r/upper r/work r/merged; chown -R 1234:1234 r
      ${asUser(`cd r; $STRATA mount --backend fuse ${union} merged
        echo text > merged/f; chmod 4755 merged/f
        { (trap '' XFSZ; ulimit -f 0; echo more >> merged/f) 2>&1 || true; } | sed 's/.*: //'
        stat -c %a merged/f; echo more >> merged/f; stat -c %a merged/f
        chmod 4755 merged/f; fallocate -l 100 merged/f; stat -c %a merged/f; umount merged`)}`);
    expect(out).toBe('File too large\n4755\n755\n755\n');
  });

  test("other owners' files are there to read, and refused to change with EOVERFLOW", async () => {
    const out = await box.sh(`mkdir -p o/lower o/upper o/work o/merged; echo mine > o/lower/mine; chown -R 1234:1234 o
      echo theirs > o/lower/theirs; echo open > o/lower/open; echo closed > o/lower/closed
      chown 4321:4321 o/lower/theirs o/lower/open o/lower/closed; chmod 644 o/lower/theirs; chmod 666 o/lower/open; chmod 600 o/lower/closed
      echo group > o/lower/group; chown 4321:5555 o/lower/group; chmod 664 o/lower/group
      ${asUser(`cd o; $STRATA mount --backend fuse ${union} merged
        cat merged/theirs merged/group; stat -c '%U' merged/theirs
        for call in 'cat merged/closed' 'chmod 600 merged/theirs' 'mv merged/theirs merged/x' 'sh -c "echo x >> merged/group"' 'touch merged/group'; do
          echo "$call: $(eval "$call" 2>&1 | sed 's/.*: //')"
        done
        echo more >> merged/mine; cat merged/mine; umount merged`).replace('--clear-groups', '--groups 5555')}`);
    expect(out.trim().split('\n')).toEqual([
      'theirs',
      'group',
      'nobody',
      'cat merged/closed: Permission denied',
      'chmod 600 merged/theirs: Value too large for defined data type',
      'mv merged/theirs merged/x: Value too large for defined data type',
      'sh -c "echo x >> merged/group": Permission denied',
      'touch merged/group: Permission denied',
      'mine',
      'more',
    ]);
  });
});
