/**
 * Where in a union a case's directory lies. A POSIX case expects the same everywhere; each
 * position sends it down other paths of the overlay:
 *
 *   upper      all in the upper: nothing to merge, nothing to copy up
 *   lower      all in a lower: the first change copies up, the directory first
 *   merged     the directory in both; its entries by turns in the upper and the lower
 *   opaque     an opaque upper directory over a lower one full of other things
 *   whiteouts  every name that a case makes hides something of the lower behind a whiteout
 *   layers     the directory in three lowers, entries by turns in each, whiteouts in the middle
 *   redirect   an upper directory that a redirect joins with a lower one of another name
 *
 * A plain filesystem knows only `plain`.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import { type Attrs, dir, file, type Node, opaque, symlink, type Tree, whiteout } from './tree.ts';

export type Position = 'plain' | 'upper' | 'lower' | 'merged' | 'opaque' | 'whiteouts' | 'layers' | 'redirect';

/** Where a case about what the kernel does around a file plays: one of each kind, as nothing else can differ. */
export const fewPositions: readonly Position[] = ['plain', 'upper', 'lower', 'merged'];

export const overlayPositions: readonly Position[] = [
  'upper',
  'lower',
  'merged',
  'opaque',
  'whiteouts',
  'layers',
  'redirect',
];

/** Positions in which the directory is merged from the lower, so that link counts of directories are 1. */
export const mergedPositions: readonly Position[] = ['merged', 'whiteouts', 'layers', 'redirect'];

/** Every union of this suite has so many lowers, the first on top. */
export const LOWERS = 3;

/** What each layer holds of one case, below the directory of its position. */
export interface Placed {
  upper: Tree;
  lowers: readonly [Tree, Tree, Tree];
}

/** Names that cases make. In `whiteouts` and `layers` something lies hidden below each. */
const made: readonly ByteString[] = ['new', 'new2', 'new3', 'moved', 'moved2'];

/** What a lower shows where the upper's directory does not come first; a leak of it fails the case. */
const wrong: Attrs = { mode: 0o710, mtime: [1000000000, 1], xattrs: { 'user.wrong': 'layer' } };

export function place(position: Position, name: ByteString, tree: Tree, attrs: Attrs): Placed {
  const whole = { [name]: dir(tree, attrs) };
  switch (position) {
    case 'plain':
    case 'upper':
      return { upper: whole, lowers: [{}, {}, {}] };
    case 'lower':
      return { upper: {}, lowers: [{}, whole, {}] };
    case 'merged': {
      const [upper, lower] = spread(tree, 2);
      return { upper: { [name]: dir(upper, attrs) }, lowers: [{ [name]: dir(lower, wrong) }, {}, {}] };
    }
    case 'opaque':
      return {
        upper: { [name]: opaque(tree, attrs) },
        lowers: [{}, { [name]: dir(others(Object.keys(tree)), wrong) }, {}],
      };
    case 'whiteouts': {
      const hidden = made.filter((entry) => !(entry in tree));
      return {
        upper: { [name]: dir({ ...tree, ...whiteouts(hidden) }, attrs) },
        lowers: [{}, {}, { [name]: dir(notDirs(tree, others([...hidden, ...Object.keys(tree)])), wrong) }],
      };
    }
    case 'layers': {
      const [top, middle, bottom] = spread(tree, 3);
      const hidden = made.filter((entry) => !(entry in tree));
      return {
        upper: {},
        lowers: [
          { [name]: dir(top, attrs) },
          { [name]: dir({ ...middle, ...whiteouts(hidden) }, wrong) },
          { [name]: dir({ ...bottom, ...others(hidden) }, wrong) },
        ],
      };
    }
    case 'redirect': {
      const [upper, lower] = spread(tree, 2);
      const below = `${name}.below`;
      return {
        upper: { [name]: dir(upper, { ...attrs, redirect: `/redirect/${below}` }), [below]: whiteout },
        lowers: [{}, { [below]: dir(lower, wrong) }, {}],
      };
    }
  }
}

function whiteouts(names: readonly ByteString[]): Tree {
  return Object.fromEntries(names.map((name) => [name, whiteout]));
}

/** Things of by turns every type, to lie where they must not be seen. */
function others(names: readonly ByteString[]): Tree {
  const kinds: readonly Node[] = [
    dir({ below: file('of the lower'), sub: dir({ deep: file('x') }) }, wrong),
    file('of the lower', { mode: 0o600, mtime: [1000000000, 1] }),
    symlink('of-the-lower'),
  ];
  return Object.fromEntries(names.map((name, i) => [name, kinds[i % kinds.length]]));
}

/** Without what would merge with a directory of `tree` rather than be hidden by it. */
function notDirs(tree: Tree, below: Tree): Tree {
  return Object.fromEntries(
    Object.entries(below).map(([name, node]) => [
      name,
      tree[name]?.type === 'dir' && node.type === 'dir' ? file('of the lower') : node,
    ]),
  );
}

/** Deals the entries of `tree` out to `count` layers; directories are in all of them, hard links all in the first. */
function spread(tree: Tree, count: number): Tree[] {
  const layers: Record<ByteString, Node>[] = Array.from({ length: count }, () => Object.create(null));
  const linked = hasHardlink(tree);
  Object.entries(tree).forEach(([name, node], i) => {
    if (node.type === 'dir') {
      spread(node.entries, count).forEach((entries, layer) => {
        layers[layer][name] = layer === 0 ? { ...node, entries } : dir(entries, wrong);
      });
    } else {
      layers[linked ? 0 : i % count][name] = node;
    }
  });
  return layers;
}

function hasHardlink(tree: Tree): boolean {
  return Object.values(tree).some(
    (node) => node.type === 'hardlink' || (node.type === 'dir' && hasHardlink(node.entries)),
  );
}
