/** Change sets of uppers that the kernel's overlay wrote, held against a plain comparison of the trees. */
import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { NEEDS_MOUNTS, NEEDS_UPPER, privileged, upperBase } from '../../test/support/privilege.ts';
import { mountKernel } from '../mount/kernel-mount.ts';
import { parseOptions } from '../mount/parse-options.ts';
import { Super } from '../overlay/super.ts';
import { fromText, toText } from '../sys/bytes.ts';
import { AT_FDCWD, CLONE_NEWNS, MNT_DETACH, MS_PRIVATE, MS_REC, S_IFCHR } from '../sys/constants.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { type ChangeOptions, changeSet, isChangeFailure } from './change-set.ts';
import { openLayers } from './open-layers.ts';

const sys = openSys();
let top: string;

beforeEach((context) => {
  if (upperBase === null) return context.skip(NEEDS_UPPER);
  top = fs.mkdtempSync(path.join(upperBase, 'strata-diff-'));
  for (const name of ['lower', 'lower2', 'upper', 'work', 'merged']) fs.mkdirSync(path.join(top, name));
});
afterEach(() => {
  if (upperBase === null) return;
  for (const at of ['before', 'merged']) sys.umount2(fromText(`${top}/${at}`), MNT_DETACH);
  fs.rmSync(top, { recursive: true, force: true });
});

function put(file: string, content = file): void {
  const at = path.join(top, file);
  fs.mkdirSync(path.dirname(at), { recursive: true });
  fs.writeFileSync(at, content);
}

function changes(lowers = ['lower'], options: ChangeOptions = {}, index = false): string[] {
  const sb = openLayers(sys, {
    lowerdirs: lowers.map((name) => fromText(`${top}/${name}`)),
    upperdir: fromText(`${top}/upper`),
    ...(index && { workdir: fromText(`${top}/work`) }),
    userxattr: !privileged,
  });
  if (!(sb instanceof Super)) throw new Error(sb.message);
  try {
    const result = changeSet(sb, options);
    if (isChangeFailure(result)) throw new Error(`${result.path}: ${result.errno}`);
    return result.map((change) => `${change.kind} ${toText(change.path)}`);
  } finally {
    sb.destroy();
  }
}

describe('changeSet of an upper made by hand', () => {
  it('metadata alone is a change of metadata, and no change where that is the same', () => {
    const prefix = privileged ? 'trusted.overlay.' : 'user.overlay.';
    for (const name of ['same', 'chmod', 'from']) put(`lower/${name}`, 'content');
    for (const [name, redirect] of [['same'], ['chmod'], ['moved', 'from']]) {
      put(`upper/${name}`, '');
      const at = fromText(`${top}/upper/${name}`);
      expect(sys.setxattrat(AT_FDCWD, at, `${prefix}metacopy`, Buffer.alloc(0), 0)).toBe(0);
      if (redirect) expect(sys.setxattrat(AT_FDCWD, at, `${prefix}redirect`, Buffer.from(redirect), 0)).toBe(0);
      fs.truncateSync(`${top}/upper/${name}`, 7);
      const { atimeMs, mtimeMs } = fs.statSync(`${top}/lower/same`);
      for (const layer of ['upper', 'lower']) {
        const file = `${top}/${layer}/${name}`;
        if (fs.existsSync(file)) fs.utimesSync(file, Math.floor(atimeMs / 1000), Math.floor(mtimeMs / 1000));
      }
    }
    fs.chmodSync(`${top}/upper/chmod`, 0o600);
    expect(changes()).toEqual(['C /chmod', 'A /moved']);
  });

  const whiteout = (name: string) =>
    expect(sys.mknodat(AT_FDCWD, fromText(`${top}/upper/${name}`), S_IFCHR, 0)).toBe(0);

  it('lists additions, changes and deletions with their parents, sorted by bytes', () => {
    put('lower/d/gone');
    put('lower/d/kept');
    put('lower/d/e/file');
    put('lower/same');
    put('upper/d/new');
    put('upper/d.txt');
    put('upper/d/e/file', 'other');
    put('upper/fresh/dir/file');
    whiteout('d/gone');
    whiteout('never-was');
    expect(changes()).toEqual(
      [
        'C /d',
        'A /d.txt',
        'C /d/e',
        'C /d/e/file',
        'D /d/gone',
        'A /d/new',
        'A /fresh',
        'A /fresh/dir',
        'A /fresh/dir/file',
      ].sort((a, b) => (a.slice(2) < b.slice(2) ? -1 : 1)),
    );
  });

  it('takes a copy-up that nothing was written to for no change', () => {
    put('lower/file', 'content');
    fs.cpSync(`${top}/lower/file`, `${top}/upper/file`, { preserveTimestamps: true });
    const { atimeNs, mtimeNs } = fs.statSync(`${top}/lower/file`, { bigint: true });
    expect(
      sys.utimensat(
        AT_FDCWD,
        fromText(`${top}/upper/file`),
        Number(atimeNs / 1000000000n),
        Number(atimeNs % 1000000000n),
        Number(mtimeNs / 1000000000n),
        Number(mtimeNs % 1000000000n),
        0,
      ),
    ).toBe(0);
    expect(changes()).toEqual([]);
    fs.chmodSync(`${top}/upper/file`, 0o600);
    expect(changes()).toEqual(['C /file']);
  });

  it('lists what an opaque directory hides, and what it shows again', () => {
    put('lower/d/a');
    put('lower/d/b');
    put('upper/d/b', 'new');
    put('upper/d/c');
    const names = privileged ? 'trusted' : 'user';
    expect(sys.setxattrat(AT_FDCWD, fromText(`${top}/upper/d`), `${names}.overlay.opaque`, Buffer.from('y'), 0)).toBe(
      0,
    );
    expect(changes()).toEqual(['C /d', 'D /d/a', 'C /d/b', 'A /d/c']);
  });

  it('lists a type change once, with what is below the new directory', () => {
    put('lower/x');
    put('upper/x/in');
    put('lower/y/in');
    put('upper/y', '');
    expect(changes()).toEqual(['C /x', 'A /x/in', 'C /y']);
  });

  it('follows a redirect, and leaves hidden directories out', () => {
    put('lower/old/a');
    put('lower/old/store/runs/x');
    put('upper/new/b');
    whiteout('old');
    const names = privileged ? 'trusted' : 'user';
    expect(
      sys.setxattrat(AT_FDCWD, fromText(`${top}/upper/new`), `${names}.overlay.redirect`, Buffer.from('old'), 0),
    ).toBe(0);
    expect(changes()).toEqual([
      'A /new',
      'A /new/a',
      'A /new/b',
      'A /new/store',
      'A /new/store/runs',
      'A /new/store/runs/x',
      'D /old',
    ]);
    const { dev, ino } = fs.statSync(`${top}/lower/old/store`, { bigint: true });
    expect(changes(['lower'], { hidden: [{ dev: Number(dev), ino }] })).toEqual([
      'A /new',
      'A /new/a',
      'A /new/b',
      'D /old',
    ]);
  });

  it('looks through several lowers', () => {
    put('lower/d/a');
    put('lower2/d/b');
    put('lower2/d/c');
    put('upper/d/c', 'new');
    whiteout('d/b');
    expect(changes(['lower', 'lower2'])).toEqual(['C /d', 'D /d/b', 'C /d/c']);
  });

  it('keeps names whatever their bytes', () => {
    fs.writeFileSync(Buffer.from(`${top}/upper/a\xff\n`, 'latin1'), '');
    const sb = openLayers(sys, {
      lowerdirs: [fromText(`${top}/lower`)],
      upperdir: fromText(`${top}/upper`),
      userxattr: true,
    });
    if (!(sb instanceof Super)) throw new Error(sb.message);
    expect(changeSet(sb)).toEqual([{ kind: 'A', path: '/a\xff\n' }]);
    sb.destroy();
  });

  it('names a layer that is not there', () => {
    expect(openLayers(sys, { lowerdirs: [fromText(`${top}/none`)], userxattr: true })).toMatchObject({
      message: `layer ${top}/none cannot be opened: ENOENT`,
    });
  });
});

describe("changeSet of the kernel's uppers", () => {
  beforeAll(() => {
    if (!privileged) return;
    expect(sys.unshare(CLONE_NEWNS)).toBe(0);
    expect(sys.mount('none', '/', '', MS_PRIVATE | MS_REC, null)).toBe(0);
  });
  beforeEach((context) => context.skip(!privileged, NEEDS_MOUNTS));

  type Step = [operation: string, from: string, to: string];
  const name = fc.constantFrom('a', 'b', 'd', 'd/a', 'd/b', 'd/e', 'd/e/a', 'f', 'f/a', 'f/d', 'new', 'new/x');
  const step: fc.Arbitrary<Step> = fc.tuple(
    fc.constantFrom('write', 'append', 'mkdir', 'remove', 'rename', 'symlink', 'chmod', 'touch', 'rewrite', 'link'),
    name,
    name,
  );

  /** What cannot be done is not done. */
  function perform([operation, from, to]: Step): void {
    const at = path.join(top, 'merged', from);
    try {
      if (operation === 'write') fs.writeFileSync(at, `written ${to}`);
      else if (operation === 'append') fs.appendFileSync(at, to);
      else if (operation === 'rewrite') fs.writeFileSync(at, fs.readFileSync(at));
      else if (operation === 'mkdir') fs.mkdirSync(at);
      else if (operation === 'remove') fs.rmSync(at, { recursive: true });
      else if (operation === 'rename') fs.renameSync(at, path.join(top, 'merged', to));
      else if (operation === 'symlink') fs.symlinkSync(to, at);
      else if (operation === 'link') fs.linkSync(at, path.join(top, 'merged', to));
      else if (operation === 'chmod') fs.chmodSync(at, 0o700);
      else fs.utimesSync(at, 1, 2);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    }
  }

  /** The same answer by comparing both trees whole. */
  function naive(before: string, now: string, at = ''): string[] {
    const names = new Set([...fs.readdirSync(before), ...fs.readdirSync(now)]);
    const lines: string[] = [];
    for (const entry of names) {
      const [b, n, p] = [`${before}/${entry}`, `${now}/${entry}`, `${at}/${entry}`];
      const was = fs.lstatSync(b, { bigint: true, throwIfNoEntry: false });
      const is = fs.lstatSync(n, { bigint: true, throwIfNoEntry: false });
      if (!is) lines.push(`D ${p}`);
      else if (!was)
        lines.push(`A ${p}`, ...(is.isDirectory() ? naive(`${top}/work`, n, p).filter((l) => l.startsWith('A')) : []));
      else if ((was.mode & 0o170000n) !== (is.mode & 0o170000n)) {
        lines.push(`C ${p}`, ...(is.isDirectory() ? naive(`${top}/work`, n, p).filter((l) => l.startsWith('A')) : []));
      } else {
        const below = is.isDirectory() ? naive(b, n, p) : [];
        const same =
          was.mode === is.mode &&
          was.mtimeNs === is.mtimeNs &&
          (is.isDirectory() ||
            (is.isSymbolicLink()
              ? fs.readlinkSync(b) === fs.readlinkSync(n)
              : fs.readFileSync(b).equals(fs.readFileSync(n))));
        if (!same || below.length > 0) lines.push(`C ${p}`);
        lines.push(...below);
      }
    }
    return lines;
  }

  it('names all names of a hard link that one name was changed by, with an index', () => {
    put('lower/a', 'content');
    fs.mkdirSync(`${top}/lower/d/e`, { recursive: true });
    fs.mkdirSync(`${top}/lower2/d`);
    put('lower2/d/other');
    for (const name of ['b', 'd/e/c', 'hidden']) fs.linkSync(`${top}/lower/a`, `${top}/lower/${name}`);
    const mount = () =>
      mountKernel(
        sys,
        parseOptions([`lowerdir=${top}/lower:${top}/lower2,upperdir=${top}/upper,workdir=${top}/work,index=on`]),
        'x',
        fromText(`${top}/merged`),
      );
    mount();
    fs.rmSync(`${top}/merged/hidden`);
    expect(changes(['lower', 'lower2'], {}, true)).toEqual(['D /hidden']);
    fs.appendFileSync(`${top}/merged/a`, ' changed');
    expect(changes(['lower', 'lower2'], {}, true)).toEqual(['C /a', 'C /b', 'C /d', 'C /d/e', 'C /d/e/c', 'D /hidden']);
    fs.rmSync(`${top}/merged/b`);
    expect(changes(['lower', 'lower2'], {}, true)).toEqual(['C /a', 'D /b', 'C /d', 'C /d/e', 'C /d/e/c', 'D /hidden']);
    fs.chmodSync(`${top}/merged/d/e/c`, 0o600);
    expect(changes(['lower', 'lower2'], {}, true)).toEqual(['C /a', 'D /b', 'C /d', 'C /d/e', 'C /d/e/c', 'D /hidden']);
  });

  it('agrees with a comparison of the trees, after any sequence of operations', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), fc.boolean(), (steps, index) => {
        for (const at of ['before', 'merged']) sys.umount2(fromText(`${top}/${at}`), MNT_DETACH);
        for (const dir of ['lower', 'lower2', 'upper', 'work', 'before']) {
          fs.rmSync(`${top}/${dir}`, { recursive: true, force: true });
          fs.mkdirSync(`${top}/${dir}`);
        }
        for (const file of ['lower/a', 'lower/d/a', 'lower/d/e/a', 'lower2/d/b', 'lower2/f/a', 'lower2/f/d/x'])
          put(file);
        fs.linkSync(`${top}/lower/a`, `${top}/lower/d/e/b`);
        fs.linkSync(`${top}/lower2/d/b`, `${top}/lower2/f/d/a`);
        mountKernel(
          sys,
          parseOptions([
            `lowerdir=${top}/lower:${top}/lower2,upperdir=${top}/upper,workdir=${top}/work,redirect_dir=on,metacopy=on,volatile,index=${index ? 'on' : 'off'}`,
          ]),
          'x',
          fromText(`${top}/merged`),
        );
        for (const one of steps) perform(one);
        // The lowers alone, by the kernel too.
        mountKernel(sys, parseOptions([`lowerdir=${top}/lower:${top}/lower2`]), 'x', fromText(`${top}/before`));
        const byPath = (x: string, y: string) => (x.slice(2) < y.slice(2) ? -1 : 1);
        expect(changes(['lower', 'lower2'], {}, index)).toEqual(naive(`${top}/before`, `${top}/merged`).sort(byPath));
      }),
      { numRuns: 80 },
    );
  });
});
