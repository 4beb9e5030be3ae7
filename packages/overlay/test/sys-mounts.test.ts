/** The mount calls, in a process of their own: a namespace that is left belongs to nobody's tests. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmdirSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FD_CLOEXEC, TMPFS_MAGIC } from '../src/sys/constants.ts';
import { EINVAL, ENODEV, ENOENT, EROFS } from '../src/sys/errno.ts';
import { isRoot, needsRoot } from './support/temp-dir.ts';

describe.skipIf(!isRoot)(needsRoot('mounts in a private namespace'), () => {
  let dir = '';
  let out: Record<string, unknown> = {};
  beforeAll(() => {
    dir = mkdtempSync(path.join(tmpdir(), 'stratafs-mounts-'));
    const script = fileURLToPath(new URL('./support/mount-calls.mjs', import.meta.url));
    out = JSON.parse(execFileSync(process.execPath, [script, dir], { encoding: 'utf8', timeout: 20_000 }));
  });
  afterAll(() => rmdirSync(dir));

  it('mount(2) and umount2(2)', () => {
    expect(out).toMatchObject({
      unshare: 0,
      private: 0,
      mount: 0,
      mountedType: TMPFS_MAGIC,
      mountedMode: 0o711,
      mountinfo: true,
      badType: -ENODEV,
      umount: 0,
      umountAgain: -EINVAL,
    });
  });

  it('fsopen(2) to move_mount(2)', () => {
    expect(out).toMatchObject({
      fsopenBad: -ENODEV,
      setString: 0,
      setBad: -EINVAL,
      create: 0,
      fsmount: true,
      detached: 0,
      move: 0,
      movedType: TMPFS_MAGIC,
      movedSize: 128 * 1024,
    });
  });

  it('open_tree(2) and mount_setattr(2)', () => {
    expect(out).toMatchObject({
      openTree: true,
      cloexec: FD_CLOEXEC,
      setattr: 0,
      readOnly: -EROFS,
      original: 0,
      seenThrough: 0,
      setattrBack: 0,
      writable: 0,
      openTreeBad: -ENOENT,
    });
  });

  it('setns(2) leads back, and nothing was left in this namespace', () => {
    expect(out.setns).toBe(0);
    expect(out.typeAtHome).toBe(statfsSync(dir).type);
    expect(out.typeAtHome).not.toBe(TMPFS_MAGIC);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(dir);
  });
});
