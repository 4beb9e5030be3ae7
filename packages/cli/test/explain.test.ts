/** `strata explain`: which union a person means, and the sentences. */
import fs from 'node:fs';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseChecked } from './support/schema.ts';
import { enterMountNamespace, hasFuse, root, Stage } from './support/stage.ts';
import { strata } from './support/strata.ts';

let stage: Stage;

beforeAll(enterMountNamespace);
beforeEach(() => {
  stage = new Stage();
  stage.put('top/d/both', '12345');
  stage.put('bottom/d/both', 'other');
  stage.put('bottom/d/only', 'x'.repeat(2000));
  for (const name of ['upper', 'work', 'merged']) stage.dir(name);
  return () => stage.destroy();
});

const options = () =>
  `lowerdir=${stage.at('top')}:${stage.at('bottom')},upperdir=${stage.at('upper')},workdir=${stage.at('work')}`;

it('explains from options, without a mount', async () => {
  const out = await strata(['explain', '-o', options(), 'd/only']);
  expect(out).toMatchObject({ code: 0, stderr: '' });
  expect(out.stdout.split('\n')).toEqual([
    `/d/only is served by the lower 2, '${stage.at('bottom')}'`,
    `  upper    ${stage.at('upper')}`,
    '             not looked at: the way to it ends at /d',
    `  lower 1  ${stage.at('top')}`,
    '             /d/only: nothing',
    `  lower 2  ${stage.at('bottom')}`,
    '             /d/only: file of 2kB, which serves',
    'A write copies it up first: 2kB, after the directory /d.',
    '',
  ]);
  const json = parseChecked((await strata(['explain', '--json', '-o', options(), 'd/both'])).stdout);
  expect(json).toMatchObject({
    path: '/d/both',
    layers: [{ holding: 'unreached' }, { holding: 'serves', size: 5 }, { holding: 'hidden', hiddenBy: 1 }],
    write: { effect: 'copy-up', bytes: 5, directories: [{ path: '/d' }] },
  });
});

describe.each(['kernel', 'fuse'])('a mount by %s', (backend) => {
  beforeEach((context) => {
    context.skip(!root, 'needs root that may mount');
    context.skip(backend === 'fuse' && !hasFuse, 'there is no /dev/fuse');
  });

  it('is known by its mount point, and by a path in it', async () => {
    await strata(['mount', '--backend', backend, '-o', options(), stage.at('merged')]);
    fs.rmSync(stage.at('merged/d/both'));
    const expected = /^\/d\/both does not exist in the union\n[\s\S]*whiteout, which hides it/;
    expect((await strata(['explain', stage.at('merged'), 'd/both'])).stdout).toMatch(expected);
    expect((await strata(['explain', stage.at('merged/d/both')])).stdout).toMatch(expected);
    expect((await strata(['explain', 'both'], { cwd: stage.at('merged/d') })).stdout).toMatch(expected);
    fs.symlinkSync('merged', stage.at('link'));
    expect((await strata(['explain', stage.at('link'), stage.at('merged/d/both')])).stdout).toMatch(expected);
  });
});

it('names the directories on the way, and not what is asked for itself', async () => {
  stage.dir('bottom/only/in/here');
  const json = async (path: string) =>
    parseChecked((await strata(['explain', '--json', '-o', options(), path])).stdout) as unknown as {
      write: { directories: { path: string }[] };
    };
  expect((await json('only')).write.directories).toEqual([]);
  expect((await json('only/in/here')).write.directories.map(({ path }) => path)).toEqual(['/only', '/only/in']);
  expect((await strata(['explain', '-o', options(), 'only'])).stdout).toMatch(/copies it up first: \S+\.\n$/);
});

it('refuses a path through ..', async () => {
  expect(await strata(['explain', '-o', options(), '../x'])).toMatchObject({
    code: 1,
    stdout: '',
    stderr: "strata explain: '../x' goes through '..': give the path without\n",
  });
  expect(await strata(['explain', '-o', options(), 'd/..b'])).toMatchObject({ code: 0 });
});

it('says what is no union', async () => {
  const out = await strata(['explain', stage.at('top'), 'd']);
  expect(out).toMatchObject({ code: 1, stderr: expect.stringContaining('no union that is mounted') });
  expect(await strata(['explain', '-o', options()])).toMatchObject({ code: 2 });
  expect(await strata(['explain', '-o', 'upperdir=/u', 'x'])).toMatchObject({
    code: 1,
    stderr: 'strata explain: the options name no lowerdir\n',
  });
});
