/**
 * A whole system whose root is a strata mount over the machine's own: containers run in it with every
 * way to mount their layers, and ordinary users mount overlays of their own there. Nothing knows that
 * it is not on a disk.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { configure } from './support/containers-conf.ts';
import { requireMachine } from './support/require.ts';
import { Sandbox } from './support/sandbox.ts';

const able = requireMachine('podman', 'runc', 'busybox', 'pivot_root', 'setpriv', 'fuse-overlayfs', 'getfattr');

/** What a container changes of the image, and what podman says of it. */
const containers = `
  mkdir -p image/bin image/data; cp "$(command -v busybox)" image/bin/busybox
  for name in sh cat ls mkdir mv rm; do ln -sf busybox image/bin/$name; done
  echo file > image/data/file; echo moved > image/data/moved
  tar -C image -cf - . | podman import -q - one > log 2>&1
  podman run --name c one /bin/sh -c 'rm /data/file; mv /data/moved /data/here; mkdir /data/new; ls /data'
  podman diff c | grep /data/ | sort
  podman commit -q c two >> log 2>&1
  podman run --rm two /bin/sh -c 'ls /data; cat /data/here'
  podman rm -f c >> log; podman rmi -a -f >> log`;
const seen = ['here', 'new', 'A /data/here', 'A /data/new', 'D /data/file', 'D /data/moved', 'here', 'new', 'moved'];

/** What an ordinary user does with an overlay in a user namespace. */
const union = (mount: string, upper: string) => `
  mkdir -p l/d l/g ${upper} ${upper}-work m; echo a > l/a; echo b > l/b; echo x > l/d/x; echo y > l/g/y
  ${mount}
  rm m/a; mv m/b m/c; rm -r m/d; mkdir m/d; echo n > m/d/n; ln m/c m/hard; mv m/g/y m/g/z
  setfattr -n user.overlay.mine -v 1 m/c
  umount m; until ${mount}; do sleep 0.1; done
  find m -mindepth 1 -printf '%P %y %n\\n' | sort; cat m/hard m/g/z m/d/n; getfattr --only-values -n user.overlay.mine m/c; echo
  umount m`;
const unionSeen = 'c f 2\nd d 2\nd/n f 1\ng d 1\ng/z f 1\nhard f 2\nb\ny\nn\n1\n';

describe('a system on a strata mount', () => {
  let box: Sandbox;
  /** bash, with the mount as its root, in a mount namespace of its own. */
  const inside = (script: string, timeoutMs = 180_000) =>
    box.sh(
      `cat > root/inside/script <<'SCRIPT'
set -eu -o pipefail
cd /inside
${script}
SCRIPT
      unshare --mount --propagation private sh -c '
        cd root && pivot_root . inside/old && cd / && umount -l /inside/old && exec bash /inside/script'`,
      { timeoutMs },
    );
  const withPodman = (storage: string) => `
    mkdir -p ${storage}; cd ${storage}
    export CONTAINERS_CONF=$PWD/containers.conf CONTAINERS_STORAGE_CONF=$PWD/storage.conf`;

  beforeAll(async () => {
    if (!able) return;
    box = await Sandbox.open();
    await box.sh(`mkdir upper work root
      "$STRATA" mount --backend fuse -o lowerdir=/,upperdir=upper,workdir=work root
      mkdir -p -m 755 root/inside/old; mkdir -m 1777 root/inside/home
      for name in proc sys dev; do mount --rbind /$name root/$name; done
      mknod -m 666 fuse c 10 229; mount --bind fuse root/dev/fuse
      for name in run tmp; do mount -t tmpfs -o mode=1777 $name root/$name; done`);
  });
  afterAll(() => box?.close());

  const drivers: Record<string, string> = {
    'the overlay of the kernel': '',
    'strata-overlay': '[storage.options.overlay]\nmount_program = "$OVERLAY"',
    'fuse-overlayfs': '[storage.options.overlay]\nmount_program = "$(command -v fuse-overlayfs)"',
  };
  for (const [name, options] of Object.entries(drivers)) {
    test(`podman in it, with ${name}`, async () => {
      const script = `${withPodman(name.replaceAll(' ', '-').replaceAll("'", ''))}
        ${configure('store', options)}
        ${containers}`;
      expect((await inside(script)).trim().split('\n')).toEqual(seen);
    });
  }

  const asUser = (script: string) => `cat > home/script <<'USER'
cd home
${script}
USER
    setpriv --reuid 1234 --regid 1234 --clear-groups unshare -Urm bash -eu -o pipefail home/script`;

  test('an ordinary user in a user namespace: the overlay of the kernel, and ours, leave what each other mounts', async () => {
    const dirs = (upper: string) => `lowerdir=l,upperdir=${upper},workdir=${upper}-work`;
    const kernel = (upper: string) => `mount -t overlay o -o userxattr,${dirs(upper)} m`;
    const ours = (upper: string) => `$STRATA mount --backend fuse -o ${dirs(upper)} m`;
    expect(await inside(asUser(union(kernel('a'), 'a')))).toBe(unionSeen);
    expect(await inside(asUser(`rm -rf l m; ${union(ours('b'), 'b')}`))).toBe(unionSeen);
    const look = `find m -mindepth 1 -printf "%P %y %n\\n" | sort; umount m`;
    const listed = unionSeen.split('\n').slice(0, 6).join('\n');
    expect(await inside(asUser(`until ${kernel('b')}; do sleep 0.1; done; ${look}`))).toBe(`${listed}\n`);
    expect(await inside(asUser(`${ours('a')}; ${look}`))).toBe(`${listed}\n`);
  });
});
