/** Rows that make, change and remove files. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type Case, Declined, expect } from '../case.ts';
import { chmod, mkdir, pokeAll, readAll, rename, statAll, writeNew } from '../client.ts';
import { makeTree, parents, treeNames } from '../trees.ts';

export async function create(c: Case): Promise<void> {
  const names = treeNames(c.count(10_000), 100);
  const data = Buffer.alloc(1024, 'x');
  await c.mounted([c.lower()], null, (m) => {
    c.measure('create-small', () => {
      for (const dir of parents(names)) fs.mkdirSync(`${m}/${dir}`, { recursive: true });
      for (const name of names) writeNew(`${m}/${name}`, data);
    });
    c.measure('rename-upper', () => {
      for (const name of names) rename(`${m}/${name}`, `${m}/${name}.new`);
    });
    const tops = fs.readdirSync(m).map((name) => `${m}/${name}`);
    c.measure('rm-rf-upper', () => execFileSync('rm', ['-rf', ...tops]));
    expect(fs.readdirSync(m).length === 0, 'files are left after rm -rf');
  });
}

export async function mkdirDeep(c: Case): Promise<void> {
  const depth = 30;
  const chains = Array.from({ length: c.count(100) }, (_, i) => `c${i}`);
  const tail = Array.from({ length: depth }, (_, i) => `dir${i}`);
  await c.mounted([c.lower()], null, (m) => {
    c.measure('mkdir-deep', () => {
      for (const chain of chains) {
        let at = `${m}/${chain}`;
        mkdir(at);
        for (const dir of tail) {
          at += `/${dir}`;
          mkdir(at);
        }
      }
    });
    c.measure('stat-deep', () => statAll(chains.map((chain) => path.join(m, chain, ...tail))));
  });
}

export async function removeLower(c: Case): Promise<void> {
  const lower = c.lower((at) => makeTree(`${at}/tree`, c.count(10_000)));
  await c.mounted([lower], null, (m) => {
    c.measure('rm-rf-lower', () => execFileSync('rm', ['-rf', `${m}/tree`]));
    expect(!fs.existsSync(`${m}/tree`), 'the tree is left after rm -rf');
  });
}

export async function changeLower(c: Case): Promise<void> {
  const n = c.count(3_000);
  const names = treeNames(n, 100);
  const lower = c.lower((at) => {
    for (const part of ['ren', 'wr', 'mod']) makeTree(`${at}/${part}`, n, { size: 4096 });
  });
  await c.mounted([lower], 'fresh', (m) => {
    c.measure('rename-lower', () => {
      for (const name of names) rename(`${m}/ren/${name}`, `${m}/ren/${name}.new`);
    });
    c.measure('copyup-small', () => pokeAll(names.map((name) => `${m}/wr/${name}`)));
    c.measure('chmod-lower', () => {
      for (const name of names) chmod(`${m}/mod/${name}`, 0o600);
    });
  });
}

/** A tar of a real tree, /usr/share. */
function tarOf(c: Case): string {
  const dir = c.template('tar', (at) => {
    const files = execFileSync('find', ['/usr/share', '-type', 'f', '-size', '-4096k'], {
      encoding: 'latin1',
      maxBuffer: 2 ** 30,
    });
    const list = files.split('\n').slice(0, c.count(20_000)).join('\n');
    execFileSync('tar', ['-cf', `${at}/tree.tar`, '-T', '-'], {
      input: Buffer.from(list, 'latin1'),
      stdio: ['pipe', 'pipe', 'ignore'],
    });
  });
  return `${dir}/tree.tar`;
}

export async function untar(c: Case): Promise<void> {
  const tar = tarOf(c);
  readAll([tar]);
  await c.mounted([c.lower()], null, (m) => c.measure('untar', () => execFileSync('tar', ['-xf', tar, '-C', m])));
}

export async function git(c: Case): Promise<void> {
  const n = c.count(5_000);
  const lower = c.lower((at) => {
    makeTree(at, n, { perDir: 50, size: 1 });
    for (const [i, name] of treeNames(n, 50).entries()) fs.writeFileSync(`${at}/${name}`, `${i}\n`.repeat(200));
  });
  const env = {
    ...process.env,
    GIT_CONFIG_NOSYSTEM: '1',
    HOME: lower,
    GIT_AUTHOR_NAME: 'a',
    GIT_AUTHOR_EMAIL: 'a@b',
    GIT_COMMITTER_NAME: 'a',
    GIT_COMMITTER_EMAIL: 'a@b',
  };
  await c.mounted([lower], 'fresh', (m) => {
    const run = (...args: string[]): string => {
      const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
      return execFileSync('git', ['-C', m, '-c', 'gc.auto=0', ...args], { env, stdio, encoding: 'utf8' });
    };
    try {
      run('--version');
    } catch {
      throw new Declined('git is not installed');
    }
    c.measure('git-add-commit', () => {
      run('init', '-q');
      run('add', '-A');
      run('commit', '-q', '-m', 'x');
    });
    expect(run('status', '--porcelain') === '', 'git status is not clean');
    c.measure('git-status', () => run('status', '--porcelain'));
    c.measure('git-checkout', () => {
      run('rm', '-rq', '.');
      run('reset', '-q', '--hard');
    });
  });
}
