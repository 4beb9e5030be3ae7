/**
 * That printed scripts do what they say: random operations of every kind, played by the runner on one plain
 * tree and by their script on another. Every result that a line prints has to be the runner's, and both
 * trees the same in the end.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromText } from 'stratafs/internal/sys/bytes';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { expect, test } from 'vitest';
import { random } from '../random.ts';
import { differences } from '../snapshot.ts';
import { Caller } from './caller.ts';
import { Generator } from './generate.ts';
import { kinds } from './kinds/all.ts';
import { LayerMaker } from './layers.ts';
import { LowerNumbers } from './lower-numbers.ts';
import { modes } from './modes.ts';
import { unavailable } from './namespace.ts';
import type { Operation } from './operation.ts';
import { setUp, shellLine } from './script.ts';
import { isFailure, Turn } from './turn.ts';
import { View } from './view.ts';

const OPERATIONS = 600;

/** One of each kind of a mode that has all of them. */
const mode = modes.nfs_export;

interface Played {
  readonly op: Operation;
  readonly result: string;
}

test('every kind of operation is printed as a line that does it', { timeout: 120_000 }, (ctx) => {
  const reason = unavailable();
  if (reason !== null) {
    ctx.skip(reason);
  }
  const seed = Number(process.env.STRATA_SEED);
  const sys = openSys();
  const since = Date.now() - 1000;
  const base = mkdtempSync(join(tmpdir(), 'strata-script-'));
  // A file of ours that is left protected would stay for good on a disk.
  expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'strata-script', base]).status).toBe(0);
  try {
    const roots = ['run', 'script'].map((name) => fromText(`${base}/${name}`));
    for (const root of roots) {
      mkdirSync(root);
      new LayerMaker(sys, random(seed)).make([root], [], [], '');
    }
    const numbers = new LowerNumbers(sys, [], roots[0]);
    const yard = { since: [Math.floor(since / 1000), 0] as const, numbers };
    const turns = roots.map((root) => new Turn(sys, false, root));
    const played = play(turns[0], new View(turns[0], yard), seed);
    const outputs = playScript(
      base,
      played.map(({ op }) => op),
    );
    expect(outputs.length).toBe(played.length);
    const wrong = played.flatMap(({ op, result }, i) =>
      agree({ op, result }, outputs[i])
        ? []
        : [`${i}: ${op.kind}: ${shellLine(op)}\n  runner: ${result}\n  script: ${outputs[i].text}`],
    );
    expect(wrong.slice(0, 5), `seed ${seed}`).toEqual([]);
    const views = turns.map((turn) => new View(turn, yard));
    views[0].forgiveAtimes(views[1]);
    expect(differences(views[0].snapshot, views[1].snapshot, "the runner's", "the script's"), `seed ${seed}`).toEqual(
      [],
    );
    const seen = new Set(played.map(({ op }) => op.kind));
    expect(Object.keys(kinds).filter((kind) => !seen.has(kind))).toEqual([]);
    for (const turn of turns) {
      turn.end();
    }
  } finally {
    spawnSync('umount', ['-l', base]);
    rmSync(base, { recursive: true });
  }
});

/** What the runner does, and what came of it. */
function play(turn: Turn, seen: View, seed: number): Played[] {
  const caller = new Caller(turn.sys);
  const generator = new Generator(random(seed), mode);
  generator.seen(seen, false);
  const all: Played[] = [];
  while (all.length < OPERATIONS) {
    const op = generator.next();
    turn.sys.umask(op.umask);
    const result = caller.as(op.user, () => kinds[op.kind].run(turn, op));
    turn.sys.umask(0o022);
    generator.learn(op, result);
    // Not asked: a chown of nothing (kinds/attributes.ts), a rename of what does not fit (kinds/flags.ts), a directory's handle.
    if (result !== 'EBUSY' && !/^flags \w+ EXDEV/.test(result) && !(op.kind === 'handle' && result === 'EISDIR')) {
      all.push({ op, result });
    }
  }
  return all;
}

interface Said {
  readonly text: string;
  readonly status: number;
}

/** Behind each line there comes a mark with its exit status. */
function playScript(base: string, ops: readonly Operation[]): Said[] {
  const lines = ops.map(shellLine);
  const marked = lines.flatMap((line) => [line, 'echo "=$?="']);
  const text = [setUp(lines), 'umask 0; cd script', ...marked, ''].join('\n');
  writeFileSync(join(base, 'text'), text, 'latin1');
  const { stdout } = spawnSync('bash', ['-c', 'exec bash -s stdin < text'], { cwd: base, encoding: 'latin1' });
  return [...stdout.matchAll(/([^=]*(?:=(?!\d+=\n)[^=]*)*)=(\d+)=\n/g)].map(([, said, status]) => ({
    text: said,
    status: Number(status),
  }));
}

/** Of these the runner does not tell every result. */
const saysLess: readonly string[] = ['watch', 'listxattr'];
/** And these begin with another number than their script. */
const inOtherWords: readonly string[] = ['tmpfile', 'slot-stat', 'chattr'];

/** What makes no call of Perl's says only whether it worked. */
function agree({ op, result }: Played, { text, status }: Said): boolean {
  // A shell closes what is not open.
  if (op.kind === 'slot-close') {
    return true;
  }
  const line = shellLine(op);
  if (!/^(sys|slot) /.test(line)) {
    return isFailure(result) === (status !== 0);
  }
  const [errnos, own] = [result, text].map((said) => [...said.matchAll(/\bE[A-Z0-9]+\b/g)].join(' '));
  const [number, its] = [result, text].map((said) => /^\d+/.exec(said)?.[0]);
  const errnosAgree = saysLess.includes(op.kind) ? own.startsWith(errnos) : own === errnos;
  return errnosAgree && (number === undefined || number === its || inOtherWords.includes(op.kind));
}
