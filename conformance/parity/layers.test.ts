/**
 * That the random lowers hold what the runner is there for: all that an overlay writes into a layer, each kind often
 * enough for a run to meet it. Else a million operations without a mismatch would say nothing of it. The seeds are always
 * the same, and the bounds half of what these gave when they were written. Lowers of the mode in a user namespace are made outside of one here.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { Stat } from 'stratafs/internal/sys/stat';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { afterAll, describe, expect, it } from 'vitest';
import { openBaseDir } from '../base-dir.ts';
import { listNames } from './directories.ts';
import { modes } from './modes.ts';
import { unavailable } from './namespace.ts';
import { Pair } from './pair.ts';

const sys = openSys();
const SEEDS = 40;
const value = Buffer.alloc(4096);

const kinds = ['whiteout', 'opaque', 'redirect', 'metacopy', 'metacopy elsewhere', 'hard link'] as const;
type Kind = (typeof kinds)[number];
type Counts = Record<Kind, number>;

/** About half of what 40 seeds gave when this was written. */
const half: Counts = {
  whiteout: 60,
  opaque: 50,
  redirect: 8,
  metacopy: 35,
  'metacopy elsewhere': 15,
  'hard link': 10,
};

/** By the options that the mode's lowers are made with: not asked of those, so that they cannot lose one unnoticed. */
const wholeFiles = ['metacopy', 'metacopy elsewhere'] as const;
const cannotHave: Readonly<Record<string, readonly Kind[]>> = {
  off: wholeFiles,
  xino: wholeFiles,
  aside: wholeFiles,
  nfs_export: wholeFiles,
  userxattr: ['redirect', ...wholeFiles],
};

/** Adds what lies below `dir`. */
function count(dir: ByteString, marks: ByteString, counts: Counts): void {
  const fd = sys.openat(c.AT_FDCWD, dir, c.O_RDONLY | c.O_DIRECTORY | c.O_NOFOLLOW, 0);
  expect(fd, dir).toBeGreaterThanOrEqual(0);
  const names = listNames(sys, fd);
  sys.close(fd);
  for (const name of names) {
    const path = `${dir}/${name}`;
    const st = new Stat();
    expect(sys.statx(c.AT_FDCWD, path, c.AT_SYMLINK_NOFOLLOW, st), path).toBe(0);
    const mark = (of: string): ByteString | null => {
      const length = sys.getxattrat(c.AT_FDCWD, path, `${marks}${of}`, value);
      return length < 0 ? null : value.toString('latin1', 0, length);
    };
    const isDir = st.type === c.S_IFDIR;
    if (st.type === c.S_IFCHR && st.rdev === 0) counts.whiteout++;
    if (isDir && mark('opaque') === 'y') counts.opaque++;
    if (isDir && mark('redirect') !== null) counts.redirect++;
    if (st.type === c.S_IFREG && mark('metacopy') !== null) {
      counts.metacopy++;
      if (mark('redirect') !== null) counts['metacopy elsewhere']++;
    }
    if (st.type === c.S_IFREG && st.nlink > 1) counts['hard link']++;
    if (isDir) count(path, marks, counts);
  }
}

describe('lowers of 40 seeds', () => {
  const base = openBaseDir(sys);
  afterAll(() => base.close(), 60_000);
  for (const [name, mode] of Object.entries(modes)) {
    it(name, { timeout: 120_000 }, async (context) => {
      const reason = unavailable();
      if (reason !== null) {
        context.skip(reason);
      }
      const none = (): Counts => Object.fromEntries(kinds.map((kind) => [kind, 0])) as Counts;
      const [upper, lowest] = [none(), none()];
      const pair = new Pair(sys, mode);
      try {
        const prefix = mode.making.includes('userxattr') ? 'user.overlay.' : 'trusted.overlay.';
        for (let i = 0; i < SEEDS; i++) {
          pair.reset(i + 1);
          for (const [n, lower] of pair.lowers.entries()) {
            count(lower, prefix, n === pair.lowers.length - 1 ? lowest : upper);
          }
        }
      } finally {
        await pair.close();
      }
      const least: Counts = { ...half, ...(name === 'userxattr' ? { opaque: 35 } : {}) };
      for (const kind of cannotHave[name] ?? []) least[kind] = 0;
      expect(kinds.filter((kind) => upper[kind] < least[kind]).map((kind) => `${kind}: ${upper[kind]}`)).toEqual([]);
      const cannot = kinds.filter((kind) => least[kind] === 0 && upper[kind] > 0);
      expect(cannot, 'which this mode is said not to have').toEqual([]);
      const { 'hard link': links, ...marks } = lowest;
      expect(links).toBeGreaterThanOrEqual(8);
      expect(Object.values(marks), 'marks in the lowest, which is plain').toEqual([0, 0, 0, 0, 0]);
    });
  }
});
