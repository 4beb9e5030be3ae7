/**
 * A developer's day in a mount whose lower is a checkout of this project: git reads, commits, packs
 * and checks it, npm installs its dependencies, and the lower stays as it was.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { repository } from './support/programs.ts';
import { requireMachine } from './support/require.ts';
import { Sandbox } from './support/sandbox.ts';

const able = requireMachine('git', 'npm');

/** git as anybody's: no configuration of this machine, and a checkout that another user may own. */
const env = {
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_COUNT: '1',
  GIT_CONFIG_KEY_0: 'safe.directory',
  GIT_CONFIG_VALUE_0: '*',
  GIT_AUTHOR_NAME: 'A',
  GIT_AUTHOR_EMAIL: 'a@example.org',
  GIT_COMMITTER_NAME: 'A',
  GIT_COMMITTER_EMAIL: 'a@example.org',
};

describe('a checkout of this project as lower', () => {
  let box: Sandbox;
  const sh = (script: string) => box.sh(script, { env, timeoutMs: 300_000 });

  beforeAll(async () => {
    if (!able) return;
    box = await Sandbox.open();
    await sh(`git clone -q --no-hardlinks ${repository} lower; mkdir upper work merged`);
    await sh('find lower -type f -print0 | sort -z | xargs -0 sha256sum > before');
    await sh('"$OVERLAY" -o lowerdir=lower,upperdir=upper,workdir=work merged');
  });
  afterAll(() => box?.close());

  test('git finds it clean, and sees exactly what is changed', async () => {
    expect(await sh('cd merged; git status --porcelain')).toBe('');
    await sh('cd merged; echo >> package.json; rm LICENSE; mv docs papers; mkdir new; echo n > new/file');
    expect((await sh('cd merged; git status --porcelain')).split('\n')).toEqual(
      expect.arrayContaining([' M package.json', ' D LICENSE', ' D docs/testing.md', '?? new/', '?? papers/']),
    );
  });

  test('git adds, commits, switches, merges, collects and checks', async () => {
    await sh(`cd merged
      git config gc.auto 0 # or a merge begins one in the background
      git add -A; git commit -qm 'Move the papers'
      git switch -qc side HEAD~1; echo side > side.txt; git add side.txt; git commit -qm Side
      git switch -q -; git merge -q --no-edit side
      git gc -q --prune=now; git fsck --strict --no-dangling`);
    expect(await sh('cd merged; git status --porcelain; cat side.txt; test ! -e LICENSE; ls papers/testing.md')).toBe(
      'side\npapers/testing.md\n',
    );
    expect(await sh('cd merged; git log --format=%s -3 | wc -l')).toBe('3\n');
  });

  test('git init, add, commit, gc and fsck of a new repository with 500 files', async () => {
    await sh(`mkdir merged/fresh; cd merged/fresh; git init -q
      for i in $(seq 500); do mkdir -p d$((i % 20)); echo $i > d$((i % 20))/f$i; done
      git add .; git commit -qm 'Five hundred'; git gc -q; git fsck --strict`);
    expect(
      await sh('cd merged/fresh; git status --porcelain; git ls-files | wc -l; ls .git/objects/pack/*.pack | wc -l'),
    ).toBe('500\n1\n');
    await sh('cd merged/fresh; git clean -qfdx; git rm -qr d1; git reset -q --hard; test -e d1/f1');
  });

  test('npm ci installs, links and builds it, and the build runs', async () => {
    await sh('cd merged; git reset -q --hard; npm ci --no-progress');
    expect(await sh('cd merged; node_modules/.bin/strata version; npm ls --depth=0 > /dev/null')).toMatch(
      /^strata \d+\.\d+\.\d+\n/,
    );
    await sh('cd merged; npm run --silent layers');
    await sh('cd merged; rm -rf node_modules; test ! -e node_modules; git status --porcelain | (! grep node_modules)');
  });

  test('the lower has the bytes that it had', async () => {
    await sh('find lower -type f -print0 | sort -z | xargs -0 sha256sum > after; cmp before after');
  });
});
