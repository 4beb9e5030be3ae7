/**
 * The server's life: killed, terminated under load, unmounted and mounted again a hundred times, and
 * asked a great many things. STRATA_SOAK=1 (`npm run soak:server`) asks a million, else a sample.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { servers } from './support/programs.ts';
import { requireMachine } from './support/require.ts';
import { Sandbox } from './support/sandbox.ts';

const able = requireMachine('findmnt', 'umount', 'pgrep');
const soak = process.env.STRATA_SOAK === '1';

const make = 'rm -rf lower upper work; mkdir -p lower upper work merged';
const mount = '$STRATA mount --backend fuse -o "lowerdir=$PWD/lower,upperdir=$PWD/upper,workdir=$PWD/work" merged';
const server = `${servers} | tail -n 1`;

describe('the life of a server', () => {
  let box: Sandbox;
  beforeAll(async () => {
    if (able) box = await Sandbox.open();
  });
  afterAll(() => box?.close());

  test('kill -9, then strata mount on the same point: the dead mount is replaced and nothing is lost', async () => {
    await box.sh(`${make}; echo lower > lower/file; ${mount}`);
    await box.sh('echo upper > merged/kept; echo more >> merged/file; mkdir merged/dir; sync -f merged/kept');
    await box.sh(`kill -9 $(${server})`);
    const dead = await box.try('stat merged/kept');
    expect(dead.stderr).toMatch(/Transport endpoint is not connected|Software caused connection abort/);
    await box.sh(mount);
    expect(
      await box.sh('cat merged/kept merged/file; test -d merged/dir; grep -c "$PWD/merged " /proc/self/mountinfo'),
    ).toBe('upper\nlower\nmore\n1\n');
    await box.sh('umount merged');
  });

  test('kill -TERM under load ends within two seconds, and what was written is in the upper', async () => {
    await box.sh(`${make}; for i in $(seq 200); do echo $i > lower/f$i; done; ${mount}`);
    const took = await box.sh(`
      for w in 1 2 3 4; do
        (cd merged; i=0; while echo $w $i >> f$((i % 200)) && cat f* > /dev/null && : > n$w.$i; do i=$((i + 1)); done) 2> /dev/null &
      done
      sleep 1; pid=$(${server}); start=$(date +%s%N)
      kill -TERM $pid
      while kill -0 $pid 2> /dev/null; do sleep 0.01; done
      echo $((($(date +%s%N) - start) / 1000000))
      wait`);
    expect(Number(took)).toBeLessThan(2000);
    await box.sh('mountpoint -q merged && exit 1; ls upper | grep -q n1; test -z "$(ls work/work)"');
  });

  test('a hundred times umount(8) and at once a new mount of the same upper', async () => {
    await box.sh(`${make}; echo 0 > lower/n`);
    const out = await box.sh(
      `for i in $(seq 100); do
         ${mount}
         test "$(cat merged/n)" = $((i - 1)); echo $i > merged/n; mkdir merged/d$i; mv merged/d$i merged/e$i
         umount merged
       done
       ${mount}; cat merged/n; ls -d merged/e* | wc -l; umount merged`,
      { timeoutMs: 300_000 },
    );
    expect(out).toBe('100\n100\n');
  });

  test(`descriptors and memory stay flat over ${soak ? 'a million' : 'a sample of'} lookups and opens`, async () => {
    const [from, to] = soak ? [200_000, 1_000_000] : [60_000, 160_000];
    await box.sh(
      `${make}; mkdir lower/{0..99}; for d in lower/*; do for f in $(seq 50); do echo $f > $d/$f; done; done; ${mount}`,
    );
    // Low-water marks: a JavaScript heap breathes between two collections.
    const out = await box.sh(
      `pid=$(${server})
       cat > ask.mjs <<'END'
import fs from 'node:fs';
const [pid, from, to] = process.argv.slice(2);
const measure = () => ({
  fds: fs.readdirSync('/proc/' + pid + '/fd').length,
  kib: Number(/VmRSS:\\s+(\\d+)/.exec(fs.readFileSync('/proc/' + pid + '/status', 'utf8'))[1]),
});
let asked = 0;
const askUntil = (target) => {
  for (; asked < target; asked += 1) {
    const path = 'merged/' + (asked % 100) + '/' + (1 + (Math.floor(asked / 100) % 60));
    const found = fs.statSync(path, { throwIfNoEntry: false });
    if (found) fs.closeSync(fs.openSync(path, 'r'));
    // The kernel answers from its caches until they are dropped; FORGET has to be honoured then.
    if (asked % 6000 === 0) fs.writeFileSync('/proc/sys/vm/drop_caches', '2');
  }
};
const lowWater = (start) => {
  const seen = [];
  for (let i = 1; i <= 10; i += 1) { askUntil(start + i * 2000); seen.push(measure()); }
  return { fds: Math.min(...seen.map((m) => m.fds)), kib: Math.min(...seen.map((m) => m.kib)) };
};
askUntil(Number(from));
const before = lowWater(Number(from));
askUntil(Number(to) - 20000);
const after = lowWater(Number(to) - 20000);
console.log(JSON.stringify({ fds: after.fds - before.fds, kib: after.kib - before.kib, before, after }));
END
       node ask.mjs "$pid" ${from} ${to}; umount merged`,
      { timeoutMs: 1_800_000 },
    );
    const { fds, kib } = JSON.parse(out);
    expect(Math.abs(fds), out).toBeLessThanOrEqual(8);
    expect(kib, out).toBeLessThanOrEqual(16 * 1024);
  }, 1_900_000);
});
