/**
 * Many layers, and layers and files with names that are hard to write down: 200 and 600 lowers by
 * FUSE, 400 by the kernel backend (whose mount(2) would stop at one page of options), and paths with
 * spaces, `:`, `,`, `\`, a newline and a byte that is no UTF-8.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { requireMachine } from './support/require.ts';
import { Sandbox } from './support/sandbox.ts';

const able = requireMachine('findmnt', 'umount');

/** Layer N holds fN, a file of its own in d/, and its number in `same` and in d/third (N divisible by 3). */
const makeLayers = (count: number) => `
  for n in $(seq ${count}); do
    l=layers/a-name-of-some-length-for-the-layer-$n; mkdir -p $l/d
    echo $n > $l/f$n; echo $n > $l/d/f$n; echo $n > $l/same
    if [ $((n % 3)) = 0 ]; then echo $n > $l/d/third; fi
  done`;

/** lowerdir= of layers 1 to COUNT, the highest number topmost. */
const lowerdir = (count: number) =>
  `lowerdir=$(for n in $(seq ${count} -1 1); do printf '%s:' "$PWD/layers/a-name-of-some-length-for-the-layer-$n"; done | sed 's/:$//')`;

const inventory = "(cd merged; find . -mindepth 1 -printf '%P %y %m\\n' | sort; cat same d/third)";

const many = [
  ['fuse', 200],
  ['fuse', 600],
  ['kernel', 400],
] as const;

describe('many lower layers', () => {
  let box: Sandbox;
  beforeAll(async () => {
    if (!able) return;
    box = await Sandbox.open();
    await box.sh(makeLayers(600));
  });
  afterAll(() => box?.close());

  test.each(many)(
    '%s backend, %i layers: all is seen, the topmost wins, deleting and renaming work',
    async (backend, count) => {
      await box.sh(`rm -rf upper work; mkdir -p upper work merged
      $STRATA mount --backend ${backend} -o "${lowerdir(count)}" -o "upperdir=$PWD/upper,workdir=$PWD/work" merged`);
      expect((await box.sh('findmnt -n -o FSTYPE merged')).trim()).toMatch(backend === 'fuse' ? /^fuse/ : /^overlay$/);
      const seen = (await box.sh(inventory)).trim().split('\n');
      expect(seen).toHaveLength(count + count + 3 + 2);
      expect(seen.slice(-2)).toEqual([String(count), String(count - (count % 3))]);
      expect(await box.sh(`cat merged/f1 merged/d/f${count}; stat -c %h merged/f7`)).toBe(`1\n${count}\n1\n`);
      await box.sh(`rm merged/f1 merged/d/f2 merged/same; mv merged/f3 merged/d/moved; echo more >> merged/f4
      test ! -e merged/f1; test -c upper/f1; test -c upper/same; test "$(cat merged/d/moved)" = 3
      test "$(cat merged/f4 | tr '\\n' ' ')" = '4 more '; test "$(cat layers/*-layer-4/f4)" = 4`);
      await box.sh('umount merged');
    },
  );
});

/** Names, as bash writes them. */
const oddNames = [
  ['spaces', "$'  two  spaces '"],
  ['a colon', "$'a:b'"],
  ['a comma', "$'a,b'"],
  ['a backslash', String.raw`$'a\\b\\'`],
  ['a newline', String.raw`$'a\nb\n'`],
  ['an equals sign and quotes', String.raw`$'a=b"c\'d'`],
  ['bytes that are no UTF-8', String.raw`$'\xff\xfea\x80'`],
  ['UTF-8', String.raw`$'\xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x99\x82'`],
  ['all of them', String.raw`$'a: ,\\\n\xff='`],
] as const;

/** The bash function `esc`: a path as the -o grammar wants it. */
const esc = `esc() { local p=$1; p=\${p//'\\'/'\\\\'}; p=\${p//':'/'\\:'}; p=\${p//','/'\\,'}; printf %s "$p"; }`;

describe.each(['fuse', 'kernel'] as const)('odd names by the %s backend', (backend) => {
  let box: Sandbox;
  beforeAll(async () => {
    if (able) box = await Sandbox.open();
  });
  afterAll(() => box?.close());

  test.each(oddNames)('layers and files with %s', async (_what, name) => {
    const out = await box.sh(
      `${esc}; n=${name}; top="$PWD/top"; rm -rf "$top"; mkdir -p "$top" merged
      one="$top/one$n."; two="$top/two$n."; upper="$top/upper$n."; work="$top/work$n."
      mkdir "$one" "$two" "$upper" "$work" "$one/dir$n"
      echo 1 > "$one/file$n"; echo 2 > "$two/low$n"; echo 3 > "$one/dir$n/in$n"
      $STRATA mount --backend ${backend} -o "lowerdir=$(esc "$one"):$(esc "$two"),upperdir=$(esc "$upper"),workdir=$(esc "$work")" merged
      cat "merged/file$n" "merged/low$n" "merged/dir$n/in$n"
      echo new > "merged/new$n"; echo more >> "merged/file$n"; rm "merged/low$n"; mv "merged/dir$n/in$n" "merged/out$n"
      ln -s "to$n" "merged/link$n"; test "$(readlink "merged/link$n"; echo .)" = "$(printf '%s\\n' "to$n"; echo .)"
      cat "$upper/new$n" "$upper/file$n" "merged/out$n"; test -f "$upper/out$n"; test -c "$upper/low$n"; test -c "$upper/dir$n/in$n"
      $STRATA mount > /dev/null
      umount merged`,
      { env: { LC_ALL: 'C' } },
    );
    expect(out).toBe('1\n2\n3\nnew\n1\nmore\n3\n');
  });
});
