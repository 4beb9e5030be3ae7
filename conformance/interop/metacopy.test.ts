/**
 * Files without their data, handed to and fro: an upper where the kernel copied up metadata only (`metacopy=on`),
 * and one of ours by its defaults. Never may anybody read the zeros; who does not follow them answers EPERM.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { requireMachine } from './support/require.ts';
import { Sandbox } from './support/sandbox.ts';

const able = requireMachine('getfattr', 'umount');

/** What a user sees of each path: its content, or why there is none. */
const look = `for f in merged/data merged/moved merged/whole; do
    stat -c '%s' $f 2>&1 || true; cat $f 2>&1 || true; { echo more >> $f; } 2>&1 | sed 's/.*: //' || true
  done`;

describe('an upper with metacopy files', () => {
  let box: Sandbox;
  beforeAll(async () => {
    if (!able) return;
    box = await Sandbox.open();
    await box.sh(`mkdir lower upper work merged; echo data > lower/data; echo moved > lower/from; echo whole > lower/whole
      mount -t overlay meta -o metacopy=on,redirect_dir=on,lowerdir=lower,upperdir=upper,workdir=work merged
      chmod 600 merged/data; mv merged/from merged/moved; chmod 600 merged/moved; echo x >> merged/whole
      umount merged
      getfattr -n trusted.overlay.metacopy upper/data upper/moved; ! getfattr -n trusted.overlay.metacopy upper/whole`);
  });
  afterAll(() => box?.close());

  test.each(['as upper', 'as lower'])(
    '%s: refused with the errors of the kernel, and the complete file is served',
    async (as) => {
      const layers =
        as === 'as upper'
          ? 'lowerdir=lower,upperdir=upper,workdir=work'
          : 'lowerdir=upper:lower,upperdir=top,workdir=topwork';
      await box.sh('rm -rf top topwork; mkdir top topwork; cp -a upper upper.kept');
      const seen = async (mount: string) => {
        const out = await box.sh(`${mount} merged; ${look}; umount merged`);
        await box.sh('rm -rf upper top topwork; cp -a upper.kept upper; mkdir top topwork');
        return out;
      };
      const byKernel = await seen(`mount -t overlay kernel -o metacopy=off,redirect_dir=follow,${layers}`);
      const byUs = await seen(`$STRATA mount --backend fuse -o metacopy=off,${layers}`);
      expect(byUs).toBe(byKernel);
      expect(byUs).toContain('Operation not permitted');
      expect(byUs).toContain('whole\nx\n');
      expect(byUs).not.toMatch(/\0|^data$|^moved$/m);
      const followed = await seen(`$STRATA mount --backend fuse -o ${layers}`);
      expect(followed).toBe(await seen(`mount -t overlay kernel -o metacopy=on,redirect_dir=on,${layers}`));
      expect(followed).toContain('data\n');
      expect(followed).toContain('moved\n');
      await box.sh('rm -rf upper.kept');
    },
  );

  test('what ours leaves by default the kernel reads with metacopy=on, and refuses without', async () => {
    const layers = 'lowerdir=lower,upperdir=top,workdir=topwork';
    const kernel = (options: string) =>
      box.sh(`mount -t overlay kernel -o ${options},${layers} merged; ${look}; umount merged`);
    await box.sh(`rm -rf top topwork; mkdir top topwork; $STRATA mount --backend fuse -o ${layers} merged
      chmod 600 merged/data; mv merged/from merged/moved; echo x >> merged/whole; umount merged
      getfattr -n trusted.overlay.metacopy top/data top/moved; getfattr -n trusted.overlay.metacopy top/whole && exit 1
      cp -a top top.kept`);
    expect(await kernel('metacopy=off,redirect_dir=follow')).not.toMatch(/\0|^data$|^moved$/m);
    await box.sh('rm -rf top topwork; cp -a top.kept top; mkdir topwork');
    const seen = await kernel('metacopy=on,redirect_dir=on');
    expect(seen).toContain('data\n');
    expect(seen).toContain('moved\n');
  });
});
