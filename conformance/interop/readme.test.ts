/** Every example of the README, run in the order of the page in a clone of this project, printing what the page says. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { examplesOf } from '../../scripts/test/fenced.ts';
import { repository } from './support/programs.ts';
import { requireMachine } from './support/require.ts';
import { Sandbox } from './support/sandbox.ts';

const able = requireMachine('git', 'npm');
const readme = readFileSync(path.join(repository, 'README.md'), 'utf8');
const setUp = readme.split('\n').find((line) => line.startsWith('npm ci && npx strata run'))!;

describe('the README', () => {
  let box: Sandbox;
  const inClone = (script: string) =>
    box.sh(`cd clone\n${script}`, { env: { STRATA_ROOT: `${box.dir}/root` }, timeoutMs: 300_000 });

  beforeAll(async () => {
    if (!able) return;
    box = await Sandbox.open();
    await box.sh(`git -c safe.directory='*' clone -q --no-hardlinks ${repository} clone`);
  });
  afterAll(() => box?.close());

  test('the first set-up command installs, runs on the folder and leaves it untouched', async () => {
    const { code, stdout, stderr } = await box.try(`cd clone\n${setUp}\ngit status --porcelain > ../status`, {
      env: { STRATA_ROOT: `${box.dir}/root` },
      timeoutMs: 300_000,
    });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    // Inside, docs/ is gone and new/ is there; outside, afterwards, it is the other way round.
    const names = stdout.split('\n');
    expect(names.filter((name) => name === 'docs')).toHaveLength(1);
    expect(names.filter((name) => name === 'new')).toHaveLength(1);
    expect(names.lastIndexOf('docs')).toBeGreaterThan(names.indexOf('new'));
    expect(stderr).toMatch(/README\.md/);
    expect(await box.sh('cat status')).toBe('');
  });

  test('there are examples', () => {
    expect(examplesOf(readme).length).toBeGreaterThanOrEqual(3);
  });

  test.each(examplesOf(readme))('the example at line $line', async ({ script, output }) => {
    const stdout = await inClone(script);
    if (output !== undefined) expect(stdout).toBe(output);
    else expect(stdout).not.toBe('');
  });
});
