/**
 * Every row of the table (rows.ts) mounted by the kernel's overlay and by ours: the same errno,
 * or a mount from both.
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { chooseBackend } from 'stratafs/internal/mount/backend';
import { absoluteLayers, checkMount } from 'stratafs/internal/mount/checks';
import { isMountError } from 'stratafs/internal/mount/mount-error';
import { parseOptions } from 'stratafs/internal/mount/parse-options';
import { spawnServer } from 'stratafs/internal/serve/spawn';
import { usedByServer } from 'stratafs/internal/serve/state';
import { type ByteString, fromText, toText } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { errnoName } from 'stratafs/internal/sys/errno';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openBaseDir } from '../base-dir.ts';
import { check } from '../expect.ts';
import { fuse } from '../targets/fuse.ts';
import { kernel } from '../targets/kernel.ts';
import { featureRows, layerRows, RW } from './rows.ts';

const sys = openSys();
const base = openBaseDir(sys);
afterAll(() => base.close(), 60_000);
const reason = kernel.unavailable(base) ?? fuse.unavailable(base);

let stage = '';

function makeStage(): void {
  stage = mkdtempSync(`${toText(base.path)}/stage-`);
  for (const dir of ['l1', 'l2', 'l3', 'u', 'w', 'outer/u', 'outer/w', 'a:b', 'a,b', 'a\\b', 'other', 'bind', 'm']) {
    mkdirSync(`${stage}/${dir}`, { recursive: true });
  }
  for (const dir of ['l1', 'l2', 'l3', 'u', 'w']) {
    mkdirSync(`${stage}/${dir}/sub`);
  }
  writeFileSync(`${stage}/file`, '');
  symlinkSync('l1', `${stage}/link`);
  const at = fromText(stage);
  check(sys.mount('other', `${at}/other`, 'tmpfs', 0, null), 'mount tmpfs');
  mkdirSync(`${stage}/other/l`);
  mkdirSync(`${stage}/other/w`);
  check(sys.mount(at, `${at}/bind`, '', c.MS_BIND, null), 'bind');
}

function removeStage(): void {
  for (const dir of ['bind', 'other']) {
    check(sys.umount2(`${fromText(stage)}/${dir}`, c.MNT_DETACH), dir);
  }
  rmSync(stage, { recursive: true });
}

function merged(): ByteString {
  return fromText(`${stage}/m`);
}

function byKernel(text: ByteString): string {
  const err = sys.mount('conformance', merged(), 'overlay', 0, text);
  if (err >= 0) {
    check(sys.umount2(merged(), 0), 'umount');
  }
  return errnoName(err);
}

async function byOurs(text: ByteString): Promise<string> {
  let pid: number;
  try {
    const options = absoluteLayers(sys, parseOptions([text]));
    // Also for those that are then refused by name.
    checkMount(sys, options, merged(), { backend: 'fuse', usedByServer: usedByServer() });
    chooseBackend(sys, options, 'fuse');
    ({ pid } = await spawnServer({ options, source: 'conformance', merged: merged(), debug: false }));
  } catch (error) {
    if (isMountError(error)) return errnoName(error.errno);
    throw error;
  }
  check(sys.umount2(merged(), 0), 'umount');
  await ended(pid);
  return errnoName(0);
}

async function ended(pid: number): Promise<void> {
  while (sys.kill(pid, 0) === 0) {
    await sleep(5);
  }
}

beforeEach((context) => {
  if (reason !== null) {
    context.skip(reason);
  }
  makeStage();
});
afterEach(() => {
  if (stage !== '') {
    removeStage();
    stage = '';
  }
});

/** Brings a fresh stage into a state. @returns the way out of it again. */
type Prepare = () => () => void;

async function compare(row: string, prepare?: Prepare): Promise<void> {
  const mountOn = async (by: (text: ByteString) => string | Promise<string>): Promise<string> => {
    const undo = prepare?.();
    try {
      return await by(fromText(row.replaceAll('T/', `${stage}/`)));
    } finally {
      undo?.();
    }
  };
  const expected = await mountOn(byKernel);
  removeStage();
  makeStage();
  expect(await mountOn(byOurs)).toBe(expected);
}

describe.each([
  ['layers', layerRows],
  ['features', featureRows],
])('%s', (_, rows) => {
  it.each(rows)('%s', { timeout: 60_000 }, (row) => compare(row));
});

/** The kernel's overlay over lower `l3`, with `upper` and `work`, at T/live. */
function live(upper: string, work: string): () => void {
  mkdirSync(`${stage}/live`);
  const at = fromText(`${stage}/live`);
  const layers = `lowerdir=${stage}/l3,upperdir=${stage}/${upper},workdir=${stage}/${work}`;
  check(sys.mount('live', at, 'overlay', 0, fromText(layers)), 'mount');
  return () => check(sys.umount2(at, 0), 'umount');
}

/** A filesystem mounted at T/at, with a directory for each layer in it. */
function mounted(type: string, flags: number, data: string | null = null): () => void {
  mkdirSync(`${stage}/at`);
  const at = fromText(`${stage}/at`);
  check(sys.mount('at', at, type, 0, data && fromText(data.replaceAll('T/', `${stage}/`))), `mount ${type}`);
  for (const dir of ['l', 'u', 'w']) {
    mkdirSync(`${stage}/at/${dir}`, { recursive: true });
  }
  check(sys.mount('', at, '', c.MS_REMOUNT | flags, null), 'remount');
  return () => check(sys.umount2(at, 0), 'umount');
}

const nothing = (): void => {};

function incompat(feature: string): () => void {
  mkdirSync(`${stage}/w/work/incompat/${feature}`, { recursive: true });
  return nothing;
}

const states: Readonly<Record<string, readonly [row: string, prepare: Prepare]>> = {
  'the mark of a volatile mount': [`lowerdir=T/l1,${RW}`, () => incompat('volatile')],
  'the mark of a feature of the future': [`lowerdir=T/l1,${RW}`, () => incompat('other')],
  'an incompat directory with nothing in it': [`lowerdir=T/l1,${RW}`, () => incompat('')],
  'upper in use, index=on': [`lowerdir=T/l1,${RW},index=on`, () => live('u', 'outer/w')],
  'work in use, index=on': [`lowerdir=T/l1,${RW},index=on`, () => live('outer/u', 'w')],
  'a lower in use as upper': [`lowerdir=T/outer/u,${RW}`, () => live('outer/u', 'outer/w')],
  'a lower in use as upper, index=on': [`lowerdir=T/outer/u,${RW},index=on`, () => live('outer/u', 'outer/w')],
  'a lower in use as work, index=on': [`lowerdir=T/outer/w,${RW},index=on`, () => live('outer/u', 'outer/w')],
  'a lower inside an upper in use, index=on': [`lowerdir=T/l2/sub,${RW},index=on`, () => live('l2', 'outer/w')],
  'a lower in use as upper, no upper': ['lowerdir=T/l1:T/outer/u,index=on', () => live('outer/u', 'outer/w')],
  'a lower in use as lower, index=on': [`lowerdir=T/l3,${RW},index=on`, () => live('outer/u', 'outer/w')],
  'upper on a read-only mount': ['lowerdir=T/l1,upperdir=T/at/u,workdir=T/at/w', () => mounted('tmpfs', c.MS_RDONLY)],
  'lower on a read-only mount': [`lowerdir=T/at/l,${RW}`, () => mounted('tmpfs', c.MS_RDONLY)],
  'lower on a filesystem without xattrs and handles': [`lowerdir=T/at/l,${RW}`, () => mounted('ramfs', 0)],
  'upper on an overlay': [
    'lowerdir=T/l1,upperdir=T/at/u,workdir=T/at/w',
    () => mounted('overlay', 0, 'lowerdir=T/l3,upperdir=T/outer/u,workdir=T/outer/w'),
  ],
  'lower on an overlay': [
    `lowerdir=T/at/l,${RW}`,
    () => mounted('overlay', 0, 'lowerdir=T/l3,upperdir=T/outer/u,workdir=T/outer/w'),
  ],
  'a whiteout in the place of work': [
    `lowerdir=T/l1,${RW}`,
    () => {
      check(sys.mknodat(c.AT_FDCWD, fromText(`${stage}/w/work`), c.S_IFCHR, 0), 'mknod');
      return nothing;
    },
  ],
  'things left in work': [
    `lowerdir=T/l1,${RW}`,
    () => {
      mkdirSync(`${stage}/w/work/#1/deep`, { recursive: true });
      writeFileSync(`${stage}/w/work/#2`, '');
      return nothing;
    },
  ],
};

describe('states', () => {
  it.each(Object.entries(states))('%s', { timeout: 60_000 }, (_, [row, prepare]) => compare(row, prepare));
});

describe('a layer option that is given twice', () => {
  it.each([
    ['lowerdir', `lowerdir=T/nothing,lowerdir=T/l1,${RW}`],
    ['upperdir', `lowerdir=T/l1,upperdir=T/nothing,${RW}`],
    ['workdir', `lowerdir=T/l1,workdir=T/nothing,${RW}`],
  ])('%s: the kernel fails on the first, ours never looks at it', { timeout: 60_000 }, async (_, row) => {
    const text = fromText(row.replaceAll('T/', `${stage}/`));
    expect(byKernel(text)).toBe('ENOENT');
    expect(await byOurs(text)).toBe(errnoName(0));
  });
});

describe('ours is in use by ours', () => {
  it('whatever index says', { timeout: 60_000 }, async () => {
    const text = fromText(`lowerdir=T/l1,${RW}`.replaceAll('T/', `${stage}/`));
    const options = absoluteLayers(sys, parseOptions([text]));
    const { pid } = await spawnServer({ options, source: 'conformance', merged: merged(), debug: false });
    expect(await byOurs(text)).toBe('EBUSY');
    check(sys.umount2(merged(), 0), 'umount');
    await ended(pid);
  });
});
