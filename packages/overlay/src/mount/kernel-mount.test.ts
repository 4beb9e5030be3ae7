/** The kernel's overlay, really mounted, in a mount namespace of this test's own. */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { NEEDS_MOUNTS, NEEDS_UPPER, privileged, upperBase } from '../../test/support/privilege.ts';
import { fromText } from '../sys/bytes.ts';
import { CLONE_NEWNS, MNT_DETACH, MS_PRIVATE, MS_REC } from '../sys/constants.ts';
import { EINVAL, ENOSYS } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { escapeLayer } from './escape.ts';
import { mountKernel } from './kernel-mount.ts';
import { isMountError, type MountError } from './mount-error.ts';
import { mountAt, overlayLayers, readMountinfo } from './mountinfo.ts';
import { parseOptions } from './parse-options.ts';

describe('mountKernel', () => {
  const sys = openSys();
  let top: string | undefined;
  let merged: string;

  beforeAll(() => {
    if (!privileged || upperBase === null) return;
    expect(sys.unshare(CLONE_NEWNS)).toBe(0);
    expect(sys.mount('none', '/', '', MS_PRIVATE | MS_REC, null)).toBe(0);
    top = fs.mkdtempSync(path.join(upperBase, 'strata-kernel-'));
  });
  afterAll(() => top !== undefined && fs.rmSync(top, { recursive: true, force: true }));
  let count = 0;
  beforeEach((context) => {
    context.skip(!privileged, NEEDS_MOUNTS);
    context.skip(upperBase === null, NEEDS_UPPER);
    merged = dir(`merged-${count++}`);
    return () => {
      while (sys.umount2(fromText(merged), MNT_DETACH) === 0);
    };
  });

  function dir(name: string | Buffer): string {
    const at = Buffer.concat([Buffer.from(`${top}/`), Buffer.from(name)]);
    fs.mkdirSync(at, { recursive: true });
    return at.toString('latin1');
  }
  function file(at: string, content: string): void {
    fs.writeFileSync(Buffer.from(at, 'latin1'), content);
  }
  function mount(text: string, table: Sys = sys): void {
    mountKernel(table, parseOptions([text]), 'the source', fromText(merged));
  }
  function entry() {
    const table = readMountinfo(sys);
    if (typeof table === 'number') throw new Error(`mountinfo ${table}`);
    return mountAt(table, fromText(merged));
  }
  function failure(text: string, table: Sys = sys): MountError {
    try {
      mount(text, table);
    } catch (error) {
      if (isMountError(error)) return error;
      throw error;
    }
    throw new Error('mounted');
  }

  it('mounts lower, upper and work with generic options', () => {
    const [l, u, w] = [dir('l'), dir('u'), dir('w')];
    file(`${l}/file`, 'from the lower');
    mount(`lowerdir=${l},upperdir=${u},workdir=${w},nosuid,nodev,noatime,redirect_dir=on,volatile`);
    expect(fs.readFileSync(`${merged}/file`, 'utf8')).toBe('from the lower');
    fs.writeFileSync(`${merged}/new`, 'up');
    expect(fs.readFileSync(`${u}/new`, 'utf8')).toBe('up');
    const mounted = entry();
    expect(mounted).toMatchObject({ fstype: 'overlay', source: 'the source' });
    expect(mounted?.options).toEqual(['rw', 'nosuid', 'nodev', 'noatime']);
    expect(mounted?.superOptions).toContainEqual(['redirect_dir', 'on']);
    expect(overlayLayers(mounted!)).toEqual({ lowerdirs: [l], datadirs: [], upperdir: u, workdir: w });
  });

  it('mounts read-only', () => {
    const [l, u, w] = [dir('l'), dir('u-ro'), dir('w-ro')];
    mount(`lowerdir=${l},upperdir=${u},workdir=${w},ro`);
    expect(() => fs.writeFileSync(`${merged}/new`, '')).toThrow('EROFS');
  });

  it('takes 400 layers of long paths', () => {
    const layers: string[] = [];
    for (let i = 0; i < 400; i++) {
      layers.push(dir(`many/${'long'.repeat(20)}-${i}`));
      file(`${layers[i]}/file-${i}`, '');
      file(`${layers[i]}/same`, `${i}`);
    }
    mount(`lowerdir=${layers.join(':')}`);
    expect(fs.readdirSync(merged)).toHaveLength(401);
    expect(fs.readFileSync(`${merged}/same`, 'utf8')).toBe('0');
    expect(failure(`lowerdir=${layers.join(':')}:${layers.slice(0, 101).join(':')}`)).toMatchObject({
      exitStatus: 32,
      message: "the kernel's overlay takes at most 500 lower layers, these are 501: use the fuse backend",
    });
  });

  it('takes any bytes in the paths of layers', () => {
    const odd = [' a', 'b:c', 'd,e', 'f\\g', 'h\ni', 'j"k', '=l', Buffer.from([0x6d, 0xff, 0xc3, 0x28])];
    const lowers = odd.map((name) => dir(Buffer.concat([Buffer.from('odd-l/'), Buffer.from(name)])));
    lowers.forEach((lower, i) => {
      file(`${lower}/${i}`, '');
    });
    const u = dir(Buffer.concat([Buffer.from('odd-u/,:\\ \n'), Buffer.from([0xff])]));
    const w = dir(Buffer.concat([Buffer.from('odd-w/,:\\ \n'), Buffer.from([0xff])]));
    mount(`lowerdir=${lowers.map(escapeLayer).join(':')},upperdir=${escapeLayer(u)},workdir=${escapeLayer(w)}`);
    expect(fs.readdirSync(merged).sort()).toEqual(odd.map((_, i) => `${i}`));
    fs.writeFileSync(`${merged}/written`, '');
    expect(fs.existsSync(Buffer.from(`${u}/written`, 'latin1'))).toBe(true);
    expect(overlayLayers(entry()!)).toEqual({ lowerdirs: lowers, datadirs: [], upperdir: u, workdir: w });
  });

  it('takes paths longer than one fsconfig string', () => {
    const deep = `deep/${'x'.repeat(100)}/${'y'.repeat(100)}/${'z'.repeat(100)}`;
    const [l, u, w] = [dir(`${deep}/l`), dir(`${deep}/u`), dir(`${deep}/w`)];
    file(`${l}/file`, '');
    mount(`lowerdir=${l},upperdir=${u},workdir=${w}`);
    expect(fs.readdirSync(merged)).toEqual(['file']);
    fs.writeFileSync(`${merged}/new`, '');
    expect(fs.readdirSync(u)).toEqual(['new']);
  });

  it('has data-only layers, and passes on options that only the kernel knows', () => {
    const [a, b, data] = [dir('da'), dir('db'), dir('dd')];
    mount(`lowerdir=${a}:${b}::${data},metacopy=on,xino=on`);
    expect(overlayLayers(entry()!)).toEqual({ lowerdirs: [a, b], datadirs: [data] });
  });

  it("says the kernel's own reason", () => {
    const [l, u, w] = [dir('l'), dir('u-bad'), dir('w-bad')];
    expect(failure(`lowerdir=${l}`)).toMatchObject({
      exitStatus: 32,
      errnoName: 'EINVAL',
      message: expect.stringContaining('at least 2 lowerdir are needed'),
    });
    expect(failure(`lowerdir=${l},upperdir=${u},workdir=${w},metacopy=on,redirect_dir=off`).message).toContain(
      'conflicting options: metacopy=on',
    );
    expect(entry()).toBeUndefined();
  });

  describe('on kernels before 6.8', () => {
    /** An overlay whose context knows no `lowerdir+`. */
    function withoutLowerdirPlus(): Sys {
      let complaint = false;
      return {
        ...sys,
        fsconfig: (fd, cmd, key, value, aux) => {
          if (key !== 'lowerdir+') return sys.fsconfig(fd, cmd, key, value, aux);
          complaint = true;
          return -EINVAL;
        },
        read: (fd, buf, off, len) => {
          if (!complaint) return sys.read(fd, buf, off, len);
          complaint = false;
          return Buffer.from(buf.buffer, buf.byteOffset).write("e overlay: Unknown parameter 'lowerdir+'\n", off);
        },
      };
    }

    it.each([
      ['without lowerdir+', withoutLowerdirPlus],
      ['without fsopen', () => ({ ...sys, fsopen: () => -ENOSYS })],
    ])('falls back to mount(2) %s', (_, table) => {
      const [l, u, w] = [dir('l,:\\'), dir('u,\\'), dir('w,\\')];
      file(`${l}/file`, '');
      fs.rmSync(`${w}/work`, { recursive: true, force: true });
      mount(`lowerdir=${escapeLayer(l)},upperdir=${escapeLayer(u)},workdir=${escapeLayer(w)},noexec`, table());
      expect(fs.readdirSync(merged)).toEqual(['file']);
      expect(entry()).toMatchObject({ source: 'the source', options: ['rw', 'noexec', 'relatime'] });
    });

    it('says when the options do not fit a page', () => {
      const lowers = Array.from({ length: 50 }, (_, i) => dir(`page/${'p'.repeat(100)}${i}`));
      expect(failure(`lowerdir=${lowers.join(':')}`, withoutLowerdirPlus())).toMatchObject({
        errnoName: 'E2BIG',
        message: expect.stringMatching(/^these layers need \d+ bytes of options and this kernel takes 4095/),
      });
    });
  });
});
