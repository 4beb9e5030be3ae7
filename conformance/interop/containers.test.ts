/**
 * podman and buildah with `strata-overlay` as their `mount_program`. In this mode containers/storage
 * leaves whiteouts as `.wh.NAME` and `.wh..wh..opq` files in the layers, hands over lowers relative to
 * its folder, empty options and options of its own. The image deletes files and directories in one
 * layer and replaces a directory in the next.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { configure, inStore } from './support/containers-conf.ts';
import { servers } from './support/programs.ts';
import { requireMachine } from './support/require.ts';
import { Sandbox } from './support/sandbox.ts';

const able = requireMachine('podman', 'buildah', 'umoci', 'skopeo', 'runc', 'busybox', 'findmnt');

const byOurs = '[storage.options.overlay]\nmount_program = "$OVERLAY"';

const buildImage = `
  umoci init --layout oci
  umoci new --image oci:base
  umoci unpack --image oci:base bundle
  r=bundle/rootfs
  mkdir -p $r/bin $r/etc $r/tmp $r/data/gone $r/data/kept $r/replaced/old
  cp "$(command -v busybox)" $r/bin/busybox
  for name in sh cat chmod find mkdir mv rm sleep sort stat test touch; do ln -s busybox $r/bin/$name; done
  echo root:x:0:0:root:/:/bin/sh > $r/etc/passwd
  echo a > $r/data/gone/a; echo file > $r/data/file; echo kept > $r/data/kept/x
  echo old > $r/replaced/old/f; echo top > $r/replaced/top
  umoci repack --refresh-bundle --image oci:base bundle
  rm -r $r/data/gone $r/data/file
  umoci repack --image oci:base bundle
  mkdir -p layer/replaced; touch layer/replaced/.wh..wh..opq; echo new > layer/replaced/new
  tar -C layer -cf layer.tar replaced/.wh..wh..opq replaced/new
  umoci raw add-layer --image oci:base layer.tar
  umoci config --image oci:base --config.cmd /bin/sh --config.env PATH=/bin
  skopeo --insecure-policy copy -q oci:oci:base docker-archive:base.tar:localhost/base:1`;

const lines = (text: string): string[] => text.trim().split('\n');

describe('podman and buildah with strata-overlay as mount_program', () => {
  let box: Sandbox;
  const sh = (script: string) => inStore(box, script);

  beforeAll(async () => {
    if (!able) return;
    box = await Sandbox.open();
    await sh(configure('store', byOurs));
    await sh(buildImage);
  });
  afterAll(() => box?.close());

  test('load leaves the whiteouts of the layers as .wh. files', async () => {
    await sh('podman load -q --signature-policy policy.json -i base.tar');
    const names = lines(
      await sh("find store/overlay -path '*/diff/*' -name '.wh.*' -printf '%P\\n' | sed 's,^[^/]*/diff/,,' | sort"),
    );
    expect(names).toEqual(['data/.wh.file', 'data/.wh.gone', 'replaced/.wh..wh..opq']);
  });

  test('run: the container sees the union of the layers, and a FUSE mount is under it', async () => {
    await sh('podman run -d --name one localhost/base:1 sleep 1000');
    expect(lines(await sh('podman exec one find /data /replaced | sort'))).toEqual([
      '/data',
      '/data/kept',
      '/data/kept/x',
      '/replaced',
      '/replaced/new',
    ]);
    expect(await sh('findmnt -n -o FSTYPE "$(podman inspect --format "{{.GraphDriver.Data.MergedDir}}" one)"')).toMatch(
      /^fuse/,
    );
  });

  test('diff names what the container changed, added and deleted', async () => {
    await sh(`podman exec one sh -c '
      rm -r /replaced/new; echo more >> /data/kept/x; mkdir /data/gone; echo n > /data/gone/n
      mkdir /etc/conf.d; mv /etc/passwd /etc/conf.d/passwd; chmod 700 /tmp'`);
    const changes = lines(await sh('podman diff one'));
    for (const change of [
      'D /replaced/new',
      'C /data/kept/x',
      'A /data/gone',
      'A /data/gone/n',
      'A /etc/conf.d/passwd',
      'D /etc/passwd',
    ]) {
      expect(changes).toContain(change);
    }
    expect(changes.filter((change) => change.includes('.wh.'))).toEqual([]);
  });

  test('commit: the next image has the deletions and the new files', async () => {
    await sh('podman commit -q one localhost/two; podman rm -f -t 0 one');
    expect(lines(await sh('podman run --rm localhost/two find /data /replaced /etc/conf.d | sort'))).toEqual([
      '/data',
      '/data/gone',
      '/data/gone/n',
      '/data/kept',
      '/data/kept/x',
      '/etc/conf.d',
      '/etc/conf.d/passwd',
      '/replaced',
    ]);
  });

  test('buildah builds a Dockerfile, layer by layer, and the result runs in podman', async () => {
    await sh(`mkdir context; echo context > context/f
      cat > context/Dockerfile <<'END'
FROM localhost/base:1
COPY f /etc/f
RUN rm -r /data && mkdir /data && cat /etc/f > /data/fresh
RUN test ! -e /data/kept && cat /data/fresh && rm /etc/f
RUN mv /replaced /renamed && mkdir /replaced
END
      buildah build --signature-policy policy.json --isolation chroot --layers -q -t localhost/three context`);
    expect(
      lines(await sh('podman run --rm localhost/three find /data /renamed /replaced /etc/f 2>/dev/null || true')),
    ).toEqual(['/data', '/data/fresh', '/renamed', '/renamed/new', '/replaced']);
    expect(await sh('podman run --rm localhost/three cat /data/fresh /renamed/new')).toBe('context\nnew\n');
  });

  test('a working container of buildah: mount, write, commit', async () => {
    await sh(`c=$(buildah from --signature-policy policy.json localhost/base:1); m=$(buildah mount "$c")
      test "$(cat "$m/replaced/new")" = new; rm -r "$m/replaced"; echo plain > "$m/replaced"
      buildah umount "$c"; buildah commit --signature-policy policy.json -q "$c" localhost/four; buildah rm "$c"`);
    expect(await sh('podman run --rm localhost/four cat /replaced')).toBe('plain\n');
  });

  test('no mount and no server outlives its container', async () => {
    await sh('podman rm -a -f -t 0');
    await sh(`servers() { ${servers}; }
      for i in $(seq 50); do
        test -n "$(servers)" || break; sleep 0.1
      done
      test -z "$(servers)"; ! grep -E ' - fuse(\\.\\S+)? ' /proc/self/mountinfo`);
  });
});
