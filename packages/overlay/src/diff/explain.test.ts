import fs from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { NEEDS_MOUNTS, NEEDS_UPPER, privileged, upperBase } from '../../test/support/privilege.ts';
import { openOverlay } from '../ops/open-overlay.ts';
import { ATTR_MODE, EntryOut, ROOT_ID, SetAttr } from '../ops/ops.ts';
import { OverlayOps } from '../ops/overlay-ops.ts';
import { Super } from '../overlay/super.ts';
import { fromText } from '../sys/bytes.ts';
import { AT_FDCWD, S_IFCHR } from '../sys/constants.ts';
import { Stat } from '../sys/stat.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { type Explanation, explain } from './explain.ts';
import { openLayers } from './open-layers.ts';

const sys = openSys();
let top: string;

beforeEach((context) => {
  if (upperBase === null) return context.skip(NEEDS_UPPER);
  top = fs.mkdtempSync(path.join(upperBase, 'strata-explain-'));
  for (const name of ['upper', 'one', 'two', 'three']) fs.mkdirSync(path.join(top, name));
  return () => fs.rmSync(top, { recursive: true, force: true });
});

function put(file: string, content = 'content'): void {
  fs.mkdirSync(path.dirname(path.join(top, file)), { recursive: true });
  fs.writeFileSync(path.join(top, file), content);
}

function whiteout(file: string): void {
  fs.mkdirSync(path.dirname(path.join(top, file)), { recursive: true });
  expect(sys.mknodat(AT_FDCWD, fromText(path.join(top, file)), S_IFCHR, 0)).toBe(0);
}

function mark(dir: string, name: string, value: string): void {
  const at = fromText(path.join(top, dir));
  expect(sys.setxattrat(AT_FDCWD, at, `user.overlay.${name}`, Buffer.from(value), 0)).toBe(0);
}

function ask(file: string, upper = true, redirects = true): Explanation {
  const sb = openLayers(sys, {
    lowerdirs: ['one', 'two', 'three'].map((name) => fromText(path.join(top, name))),
    ...(upper && { upperdir: fromText(path.join(top, 'upper')) }),
    userxattr: true,
    redirects,
  });
  if (!(sb instanceof Super)) throw new Error(sb.message);
  try {
    return explain(sb, file);
  } finally {
    sb.destroy();
  }
}

/** `holding` of each layer, with where it looked when that is another path. */
function holdings(e: Explanation): string[] {
  return e.layers.map(
    (l) => `${l.holding}${l.path === e.path ? '' : ` ${l.path}`}${l.hiddenBy === null ? '' : ` by ${l.hiddenBy}`}`,
  );
}

describe('explain', () => {
  it('finds the layer that serves a file, and what it hides', () => {
    put('two/d/file', 'twelve bytes');
    put('three/d/file');
    const e = ask('d/file');
    expect(holdings(e)).toEqual(['unreached /d', 'unreached /d', 'serves', 'hidden by 2']);
    expect(e).toMatchObject({ path: '/d/file', exists: true, errno: 0 });
    expect(e.write).toEqual({ effect: 'copy-up', bytes: 12, directories: ['/d'] });
    expect(ask('d/file', false).write).toEqual({ effect: 'read-only', bytes: 0, directories: [] });
  });

  it('names the layer with the data of a file that is metadata alone', () => {
    put('upper/f', '');
    fs.truncateSync(path.join(top, 'upper/f'), 12);
    mark('upper/f', 'metacopy', '');
    mark('upper/f', 'redirect', 'g');
    put('two/g', 'twelve bytes');
    put('three/g', 'hidden');
    const e = ask('f');
    expect(holdings(e)).toEqual(['serves', 'nothing /g', 'data /g', 'nothing /g']);
    expect(e.layers.map((layer) => layer.metacopy)).toEqual([true, false, false, false]);
    expect(e.write).toEqual({ effect: 'copy-up', bytes: 12, directories: [] });
  });

  it('names the data-only layer', () => {
    put('one/f', '');
    fs.truncateSync(path.join(top, 'one/f'), 4);
    mark('one/f', 'metacopy', '');
    mark('one/f', 'redirect', '/x/data');
    put('three/x/data', 'four');
    const sb = openLayers(sys, {
      lowerdirs: [fromText(path.join(top, 'one'))],
      datadirs: ['two', 'three'].map((name) => fromText(path.join(top, name))),
      userxattr: true,
    });
    if (!(sb instanceof Super)) throw new Error(sb.message);
    const e = explain(sb, 'f');
    expect(holdings(e)).toEqual(['serves', 'nothing /x/data', 'data /x/data']);
    expect(e.layers.map(({ kind, number }) => `${kind} ${number}`)).toEqual(['lower 1', 'data-only 2', 'data-only 3']);
    expect(holdings(explain(sb, '')).slice(1)).toEqual(['unasked', 'unasked']);
    sb.destroy();
  });

  it('writes in place what the upper has', () => {
    put('upper/file');
    put('one/file');
    const e = ask('/file');
    expect(holdings(e)).toEqual(['serves', 'hidden by 0', 'nothing', 'nothing']);
    expect(e.write).toEqual({ effect: 'in-place', bytes: 0, directories: [] });
  });

  it('finds what another name of a hard link was copied up by', (context) => {
    context.skip(!privileged, NEEDS_MOUNTS);
    put('three/file');
    fs.linkSync(path.join(top, 'three/file'), path.join(top, 'three/other'));
    fs.mkdirSync(path.join(top, 'work'));
    const layers = {
      lowerdirs: [fromText(path.join(top, 'three'))],
      upperdir: fromText(path.join(top, 'upper')),
      workdir: fromText(path.join(top, 'work')),
      datadirs: [],
      userxattr: true,
      index: true,
    };
    const ops = openOverlay(sys, layers, {
      redirectDefault: 'on',
      readOnly: false,
      aufsWhiteouts: false,
      log: () => {},
      cancelled: () => false,
      random: (length) => Buffer.alloc(length),
    });
    if (!(ops instanceof OverlayOps)) throw new Error(ops.message);
    const caller = { uid: 0, gid: 0, pid: 1, umask: 0 };
    const entry = new EntryOut(new Stat());
    expect(ops.lookup(caller, ROOT_ID, 'file', entry)).toBe(0);
    const set = new SetAttr();
    Object.assign(set, { valid: ATTR_MODE, mode: 0o600 });
    expect(ops.setattr(caller, entry.nodeid, set, entry.attr)).toBe(0);
    ops.destroy();
    const sb = openLayers(sys, layers);
    if (!(sb instanceof Super)) throw new Error(sb.message);
    const e = explain(sb, 'other');
    sb.destroy();
    expect(e.layers[0]).toMatchObject({ holding: 'serves', path: expect.stringMatching(/^\/index\/00fb[0-9a-f]+$/) });
    expect(e.write.effect).toBe('in-place');
  });

  it('merges directories down to an opaque one', () => {
    for (const layer of ['upper', 'one', 'two', 'three']) fs.mkdirSync(path.join(top, layer, 'd'));
    mark('two/d', 'opaque', 'y');
    const e = ask('d');
    expect(holdings(e)).toEqual(['serves', 'merged', 'merged', 'hidden by 2']);
    expect(e.layers[2].opaque).toBe(true);
    put('three/d/below');
    expect(holdings(ask('d/below'))).toEqual(['nothing', 'nothing', 'nothing', 'unreached /d by 2']);
  });

  it('shows the whiteout, and what it hides', () => {
    whiteout('one/gone');
    put('two/gone');
    const e = ask('gone');
    expect(e.exists).toBe(false);
    expect(holdings(e)).toEqual(['nothing', 'whiteout', 'hidden by 1', 'nothing']);
    expect(e.write).toEqual({ effect: 'create', bytes: 0, directories: [] });
  });

  it('hides what is below a file, and behind one', () => {
    put('one/x');
    put('two/x/in');
    expect(holdings(ask('x'))).toEqual(['nothing', 'serves', 'hidden by 1', 'nothing']);
    const e = ask('x/in');
    expect(e.exists).toBe(false);
    expect(e.write.effect).toBe('no-parent');
    put('two/y');
    fs.mkdirSync(path.join(top, 'one/y'));
    put('three/y/in');
    // A file under a directory is left out, and what lies below it too.
    expect(holdings(ask('y'))).toEqual(['nothing', 'serves', 'hidden by 1', 'hidden by 2']);
  });

  it('follows a redirect to where the data is', () => {
    fs.mkdirSync(path.join(top, 'upper/new'));
    mark('upper/new', 'redirect', '/old/place');
    put('two/old/place/file', '123');
    put('three/new/file');
    const e = ask('new/file');
    expect(holdings(e)).toEqual(['nothing', 'unreached /old/place', 'serves /old/place/file', 'unreached /old/place']);
    expect(e.write).toEqual({ effect: 'copy-up', bytes: 3, directories: [] });
    expect(ask('new').layers[0].redirect).toBe('/old/place');
    // Where redirects do not count the lookup itself fails.
    expect(ask('new', true, false)).toMatchObject({ exists: false, errno: -1 });
  });

  it('knows what is nowhere, and the root', () => {
    expect(ask('no')).toMatchObject({ exists: false, write: { effect: 'create' } });
    expect(ask('no/where')).toMatchObject({ exists: false, write: { effect: 'no-parent' } });
    expect(ask('/')).toMatchObject({ path: '/', exists: true, write: { effect: 'in-place' } });
  });
});
