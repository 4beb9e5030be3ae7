/**
 * A strata mount as the disk of other programs: podman with the kernel's overlay as its storage
 * driver in it, dpkg on a nested overlay, fuse-overlayfs; and what a strata mount may itself stand on.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { configure, inStore } from './support/containers-conf.ts';
import { requireMachine } from './support/require.ts';
import { Sandbox } from './support/sandbox.ts';

const able = requireMachine(
  'podman',
  'umoci',
  'skopeo',
  'runc',
  'busybox',
  'dpkg-deb',
  'fuse-overlayfs',
  'mksquashfs',
  'mkfs.erofs',
);

const buildImage = `
  umoci init --layout oci
  umoci new --image oci:base
  umoci unpack --image oci:base bundle
  r=bundle/rootfs
  mkdir -p $r/bin $r/etc $r/tmp $r/data/gone $r/data/kept
  cp "$(command -v busybox)" $r/bin/busybox
  for name in sh cat find mkdir mv rm; do ln -s busybox $r/bin/$name; done
  echo root:x:0:0:root:/:/bin/sh > $r/etc/passwd
  echo a > $r/data/gone/a; echo file > $r/data/file; echo kept > $r/data/kept/x
  umoci repack --refresh-bundle --image oci:base bundle
  rm -r $r/data/gone $r/data/file
  umoci repack --image oci:base bundle
  umoci config --image oci:base --config.cmd /bin/sh --config.env PATH=/bin
  skopeo --insecure-policy copy -q oci:oci:base docker-archive:base.tar:localhost/base:1`;

const lines = (text: string): string[] => text.trim().split('\n');

/** Layers for one overlay, in the current directory. */
const layers = `
  mkdir -p lower/dir upper work merged
  echo one > lower/one; echo two > lower/dir/two; echo kept > lower/kept`;
/** What every union has to do with them. */
const change = `
  rm merged/one; rm -r merged/dir; mkdir merged/dir; echo new > merged/dir/new; mv merged/kept merged/moved`;
const seen = 'find merged -mindepth 1 -printf "%P %y\\n" | sort; cat merged/moved';
const expected = 'dir d\ndir/new f\nmoved f\nkept\n';

describe('a strata mount as a disk', () => {
  let box: Sandbox;
  const sh = (script: string) => inStore(box, script);

  beforeAll(async () => {
    if (!able) return;
    box = await Sandbox.open();
    await box.sh(`mkdir lower upper work disk
      "$STRATA" mount --backend fuse -o lowerdir=lower,upperdir=upper,workdir=work disk`);
  });
  afterAll(() => box?.close());

  describe('podman, whose storage driver is the overlay of the kernel', () => {
    beforeAll(async () => {
      if (!able) return;
      await sh(configure('disk/store'));
      await sh(buildImage);
      await sh('podman load -q --signature-policy policy.json -i base.tar');
    });

    test('takes the disk for one that has all that an overlay needs', async () => {
      const info = await sh('podman info --format "{{.Store.GraphDriverName}} {{json .Store.GraphStatus}}"');
      expect(info).toMatch(/^overlay \{/);
      expect(info).toContain('"Supports d_type":"true"');
      expect(info).toContain('"Native Overlay Diff":"true"');
    });

    test('runs a container, whose root is an overlay, and tells what it changed', async () => {
      await sh(`podman run --name one localhost/base:1 sh -c '
        rm -r /data/kept; mkdir /data/kept; echo n > /data/kept/n; mv /etc/passwd /etc/moved; rm -r /tmp'`);
      const changes = lines(await sh('podman diff one'));
      for (const change of ['A /data/kept/n', 'D /etc/passwd', 'A /etc/moved', 'D /tmp']) {
        expect(changes).toContain(change);
      }
    });

    test('commits it: the deletions are in the image', async () => {
      await sh('podman commit -q one localhost/two');
      expect(lines(await sh('podman run --rm localhost/two find /data /etc/moved /etc/passwd /tmp || true'))).toEqual([
        '/data',
        '/data/kept',
        '/data/kept/n',
        '/etc/moved',
      ]);
      await sh('podman rm -a -f -t 0; podman rmi -a -f');
    });
  });

  test('dpkg installs, upgrades and removes on an overlay of the kernel', async () => {
    expect(
      await sh(`mkdir -p disk/dpkg; cd disk/dpkg
        for v in 1 2; do
          mkdir -p p$v/DEBIAN p$v/usr/share/probe/sub
          printf 'Package: probe\\nVersion: %s\\nArchitecture: all\\nMaintainer: a <a@b.c>\\nDescription: probe\\n' $v > p$v/DEBIAN/control
          echo $v > p$v/usr/share/probe/file; echo only-$v > p$v/usr/share/probe/only-$v
          dpkg-deb --build --root-owner-group p$v probe_$v.deb > /dev/null
        done
        mkdir -p lower/var/lib/dpkg/info lower/var/lib/dpkg/updates upper work merged
        touch lower/var/lib/dpkg/status lower/var/lib/dpkg/available
        d() { dpkg --root=$PWD/merged --force-not-root --force-script-chrootless --log=/dev/null "$@" > log 2>&1 || { cat log; false; }; }
        mount -t overlay o -o lowerdir=lower,upperdir=upper,workdir=work merged
        d -i probe_1.deb; umount merged; cp -a upper/. lower/; rm -r upper work; mkdir upper work
        mount -t overlay o -o lowerdir=lower,upperdir=upper,workdir=work merged
        d -i probe_2.deb; cat merged/usr/share/probe/file; ls merged/usr/share/probe
        d -r probe; ls merged; find upper -maxdepth 1 -type c -printf '%P\\n'; umount merged`),
    ).toBe('2\nfile\nonly-2\nsub\nvar\nusr\n');
  });

  test("truncated by a stranger on the kernel's overlay a file keeps set-user-ID until it is written", async () => {
    const script = `chmod 755 .; mkdir -p disk/t/lower disk/t/upper disk/t/work merged-t; cd disk/t
      theirs() { echo text > "$1"; chown 1000:2000 "$1"; chmod 04070 "$1"; }
      stranger() { setpriv --reuid=1001 --regid=2000 --clear-groups "$@"; }
      mount -t overlay o -o lowerdir=lower,upperdir=upper,workdir=work ../../merged-t; cd ../../merged-t
      theirs f; stranger truncate -s 1 f; stat -c %a f; stranger sh -c 'echo x >> f'; stat -c %a f
      cd ../disk; theirs f; stranger truncate -s 1 f; stat -c %a f; rm f; cd ..; umount merged-t; rm -r disk/t`;
    expect(lines(await sh(script))).toEqual(['4070', '70', '70']);
  });

  test('fuse-overlayfs leaves there what it leaves elsewhere', async () => {
    const results: string[] = [];
    for (const dir of ['plain', 'disk/plain']) {
      results.push(
        await sh(`mkdir ${dir}; cd ${dir}; ${layers}
          fuse-overlayfs -o lowerdir=lower,upperdir=upper,workdir=work merged; ${change}; ${seen}; umount merged
          mount -t overlay o -o lowerdir=upper:lower merged; ${seen}; umount merged
          find upper -mindepth 1 -printf '%P %y %m %n\\n' | sort`),
      );
    }
    expect(results[1]).toBe(results[0]);
    expect(results[0]).toContain('one c 0');
  });
});

describe('a strata mount stands on', () => {
  let box: Sandbox;
  let at = '';
  let count = 0;
  beforeAll(async () => {
    if (able) box = await Sandbox.open();
  });
  beforeEach(() => {
    at = `ground-${count++}`;
  });
  afterAll(() => box?.close());

  const mount = (lower: string) => `mkdir -p upper work merged
    "$STRATA" mount --backend fuse -o lowerdir=${lower},upperdir=upper,workdir=work merged`;

  const grounds: Record<string, string> = {
    'a tmpfs': 'mkdir ground; mount -t tmpfs t ground; cp -a lower/. ground',
    squashfs: 'mksquashfs lower image -quiet -no-progress > /dev/null; mkdir ground; mount -o loop image ground',
    erofs: 'mkfs.erofs image lower > /dev/null 2>&1; mkdir ground; mount -o loop image ground',
    "the kernel's overlay": 'mkdir gu gw ground; mount -t overlay o -o lowerdir=lower,upperdir=gu,workdir=gw ground',
    'fuse-overlayfs': 'mkdir gu gw ground; fuse-overlayfs -o lowerdir=lower,upperdir=gu,workdir=gw ground',
  };
  for (const [name, make] of Object.entries(grounds)) {
    test(`a lower on ${name}`, async () => {
      const made = `mkdir ${at}; cd ${at}; ${layers}; ${make}; ${mount('ground')}; ${change}`;
      await box.sh(made);
      expect(await box.sh(`cd ${at}; ${seen}; umount merged; ${mount('ground')}; ${seen}`)).toBe(expected + expected);
      await box.sh(`cd ${at}; umount merged; ls ground | tr '\\n' ' ' | grep -qx 'dir kept one '; umount ground`);
    });
  }

  const refused: Record<string, [string, RegExp]> = {
    "the kernel's overlay": [
      'mkdir gl gu gw ground; mount -t overlay o -o lowerdir=gl,upperdir=gu,workdir=gw ground',
      /is on an overlay, which cannot hold an upper.*EINVAL/,
    ],
    'fuse-overlayfs': [
      'mkdir gl gu gw ground; fuse-overlayfs -o lowerdir=gl,upperdir=gu,workdir=gw ground',
      /is on a FUSE filesystem without trusted\.overlay\.\* attributes, which cannot hold an upper.*EINVAL/,
    ],
  };
  for (const [name, [make, message]] of Object.entries(refused)) {
    test(`no upper on ${name}, and says why`, async () => {
      const { code, stderr } =
        await box.try(`mkdir ${at}; cd ${at}; mkdir lower merged; ${make}; mkdir ground/upper ground/work
        "$STRATA" mount --backend fuse -o lowerdir=lower,upperdir=ground/upper,workdir=ground/work merged`);
      expect(code).toBe(32);
      expect(stderr).toMatch(message);
      await box.sh(`cd ${at}; ls -A ground/upper ground/work; umount ground`);
    });
  }
});
