/**
 * Real input: a Debian root filesystem as lower. A package with dependencies is installed into the
 * FUSE mount by its own apt-get, and dpkg finds every file as it unpacked it; then the kernel's own
 * overlay mounts the upper that our server wrote, and dpkg finds the same.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { requireMachine } from './support/require.ts';
import { debianTar } from './support/rootfs.ts';
import { Sandbox } from './support/sandbox.ts';

const able = requireMachine('mmdebstrap', 'chroot', 'findmnt');

/** Every path of the lower with all that a write, or even a read, would change of it, into a file. */
const lowerState = (file: string) =>
  `find lower -xdev -printf '%P %y %m %U:%G %s %T@ %C@ %A@ %n %l\\n' | sort > ${file}`;

/** What a chroot needs of the host: /proc, /dev, names, and how its apt reaches the mirrors. */
const enterable = `
  mount --bind /proc merged/proc
  mount --bind /dev merged/dev
  cp -L /etc/resolv.conf merged/etc/resolv.conf
  for f in /etc/apt/apt.conf.d/*; do
    if grep -qi 'acquire::http\\|acquire::https' "$f"; then cp "$f" merged/etc/apt/apt.conf.d/; fi
  done`;
const leave = 'umount merged/dev merged/proc';

const python = `chroot merged python3 -c '
import ctypes, json, sqlite3, ssl, zlib
db = sqlite3.connect("/var/tmp/probe.db")
db.execute("create table if not exists t (n integer)")
db.executemany("insert into t values (?)", [(n,) for n in range(1000)])
db.commit()
print(db.execute("select count(*) % 1000, max(n) from t").fetchone(), ssl.OPENSSL_VERSION_INFO[0] >= 3)
'`;

describe('a Debian root filesystem as lower', () => {
  let box: Sandbox;

  beforeAll(async () => {
    if (!able) return;
    const tar = await debianTar();
    box = await Sandbox.open();
    await box.sh(
      `mkdir lower upper work merged; tar -C lower --numeric-owner --xattrs --xattrs-include='*' -xpf ${tar}`,
    );
    // The first walk may set atimes by itself; the second tells what they are.
    await box.sh(lowerState('before'));
    await box.sh(lowerState('before'));
    await box.sh('"$OVERLAY" -o lowerdir=lower,upperdir=upper,workdir=work merged');
    await box.sh(enterable);
  });
  afterAll(() => box?.close());

  test('the mount is FUSE', async () => {
    expect((await box.sh('findmnt -n -o FSTYPE merged')).trim()).toMatch(/^fuse/);
  });

  test('apt-get installs python3 with its dependencies, and it runs', async () => {
    const install =
      'chroot merged sh -c "apt-get update -qq && apt-get install -y -qq --no-install-recommends python3"';
    const env = { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
    let outcome = await box.try(install, { env, timeoutMs: 400_000 });
    // Mirrors fail now and then; apt takes up where it was.
    if (outcome.code === 100) outcome = await box.try(install, { env, timeoutMs: 400_000 });
    expect(outcome, outcome.stderr).toMatchObject({ code: 0 });
    expect(await box.sh(python)).toBe('(0, 999) True\n');
  });

  test('dpkg --verify finds every file as it was unpacked', async () => {
    expect(await box.sh('chroot merged dpkg --verify')).toBe('');
  });

  test("the kernel's overlay mounts the same upper: dpkg --verify is clean, python3 runs", async () => {
    await box.sh(`${leave}; umount merged`);
    await box.sh('mount -t overlay kernel -o redirect_dir=on,lowerdir=lower,upperdir=upper,workdir=work merged');
    await box.sh(enterable);
    expect(await box.sh('chroot merged dpkg --verify')).toBe('');
    expect(await box.sh(python)).toBe('(0, 999) True\n');
    await box.sh(`${leave}; umount merged`);
  });

  test('nothing of the lower has changed, not even an atime', async () => {
    await box.sh(lowerState('after'));
    const { stdout } = await box.try('diff before after | head -n 20');
    expect(stdout).toBe('');
  });
});
