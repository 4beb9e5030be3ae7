import { describe, expect, test } from 'vitest';
import { importsOf } from './imports.mjs';
import { judge, placeOf } from './rules.mjs';

describe('importsOf', () => {
  test('finds every kind of import with its line, and nothing in strings or comments', () => {
    const text = [
      "import fs from 'node:fs';",
      "import type { Stat } from '../sys/stat.ts';",
      "export { a } from './a.ts';",
      "// import 'comment';",
      'const text = "import x from \'string\'";',
      "const late = await import('./late.ts');",
      "import 'koffi';",
    ].join('\n');
    expect(importsOf(text)).toEqual(
      expect.arrayContaining([
        { specifier: 'node:fs', line: 1 },
        { specifier: '../sys/stat.ts', line: 2 },
        { specifier: './a.ts', line: 3 },
        { specifier: './late.ts', line: 6 },
        { specifier: 'koffi', line: 7 },
      ]),
    );
    expect(importsOf(text)).toHaveLength(5);
  });
});

describe('placeOf', () => {
  test.each([
    ['packages/overlay/src/sys/bytes.ts', { package: 'overlay', room: 'sys', module: 'sys/bytes' }],
    ['packages/overlay/src/sys/bytes.test.ts', { package: 'overlay', room: 'sys', module: 'sys/bytes' }],
    ['packages/overlay/src/index.ts', { package: 'overlay', room: '', module: 'index' }],
    ['conformance/posix/cases.ts', null],
  ])('%s', (file, place) => expect(placeOf(file)).toEqual(place));
});

const overlay = 'packages/overlay/src';

describe('judge lets through', () => {
  test.each([
    [`${overlay}/layer/disk.ts`, '../sys/sys.ts'],
    [`${overlay}/overlay/lookup.ts`, '../layer/layer.ts'],
    [`${overlay}/overlay/lookup.ts`, '../sys/errno.ts'],
    [`${overlay}/overlay/lookup.ts`, './super.ts'],
    [`${overlay}/ops/ops.ts`, '../overlay/super.ts'],
    [`${overlay}/fuse/dispatch.ts`, '../ops/ops.ts'],
    [`${overlay}/fuse/session.ts`, '../sys/sys.ts'],
    [`${overlay}/mount/options.ts`, '../overlay/params.ts'],
    [`${overlay}/mount/userns.ts`, 'node:child_process'],
    [`${overlay}/serve/serve.ts`, '../fuse/session.ts'],
    [`${overlay}/sys/sys-koffi.ts`, 'koffi'],
    [`${overlay}/index.ts`, './node-fs/fs.ts'],
    [`${overlay}/overlay/lookup.test.ts`, '../sys/sys-koffi.ts'],
    [`${overlay}/overlay/lookup.test.ts`, 'node:fs'],
    ['packages/image/src/store.ts', 'stratafs'],
    ['packages/image/src/store.ts', 'node:fs'],
    ['packages/cli/src/commands/mount.ts', 'stratafs/internal/serve/serve'],
    ['packages/cli/src/commands/pull.ts', '@stratafs/image'],
    ['packages/cli/src/main.ts', 'commander'],
  ])('%s importing %s', (file, specifier) => expect(judge(file, specifier)).toBeNull());
});

describe('judge refuses', () => {
  test.each([
    [`${overlay}/sys/sys.ts`, '../layer/layer.ts', 'sys/ may not import layer/layer (it may: nothing)'],
    [`${overlay}/layer/disk.ts`, '../overlay/super.ts', 'layer/ may not import overlay/super'],
    [`${overlay}/overlay/lookup.ts`, '../ops/ops.ts', 'overlay/ may not import ops/ops'],
    [`${overlay}/overlay/lookup.ts`, '../sys/sys.ts', 'overlay/ may not import sys/sys'],
    [`${overlay}/overlay/lookup.ts`, '../sys/sys-koffi.ts', 'overlay/ may not import sys/sys-koffi'],
    [`${overlay}/ops/ops.ts`, '../fuse/wire.ts', 'ops/ may not import fuse/wire'],
    [`${overlay}/fuse/dispatch.ts`, '../overlay/super.ts', 'fuse/ may not import overlay/super'],
    [`${overlay}/fuse/dispatch.ts`, '../node-fs/fs.ts', 'fuse/ may not import node-fs/fs'],
    [`${overlay}/mount/kernel.ts`, '../overlay/super.ts', 'mount/ may not import overlay/super'],
    [`${overlay}/mount/kernel.ts`, '../serve/serve.ts', 'mount/ may not import serve/serve'],
    [`${overlay}/nowhere/a.ts`, '../sys/sys.ts', 'nowhere/ is no room'],
    [`${overlay}/mount/kernel.ts`, 'koffi', 'koffi belongs to sys/ alone'],
    ['packages/cli/src/main.ts', 'koffi', 'koffi belongs to sys/ alone'],
    [`${overlay}/overlay/lookup.ts`, 'node:fs', 'overlay/ reaches the system through'],
    [`${overlay}/ops/ops.ts`, 'fs/promises', 'ops/ reaches the system through'],
    [`${overlay}/fuse/wire.ts`, 'node:child_process', 'fuse/ reaches the system through'],
    [`${overlay}/sys/sys.ts`, '@stratafs/image', 'packages/overlay may not import @stratafs/image'],
    [`${overlay}/sys/sys.ts`, '../../../cli/src/main.ts', 'leaves the package'],
    [`${overlay}/sys/sys.ts`, '../../../../scripts/x.mjs', 'leaves the package'],
    ['packages/image/src/store.ts', '@stratafs/cli', 'packages/image may not import @stratafs/cli'],
    ['packages/image/src/store.ts', 'stratafs/internal/serve/serve', 'only the commands and tests import serve/'],
    ['packages/cli/src/main.ts', '../../overlay/src/index.ts', 'leaves the package'],
  ])('%s importing %s', (file, specifier, reason) => expect(judge(file, specifier)).toContain(reason));
});
