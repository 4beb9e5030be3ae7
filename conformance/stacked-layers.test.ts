/**
 * What an overlay has left in a strata mount is a layer like any other: the mount that it lies in
 * may be ours or the kernel's from one time to the next, its own too, and all show the same tree.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { ELOOP, EPERM, ESTALE } from 'stratafs/internal/sys/errno';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { Backend, LayerDirs, View } from './backend.ts';
import { openBaseDir } from './base-dir.ts';
import { lstat, names, readFile, writeFile } from './calls.ts';
import { bytesAre, check, equal, fails, modeIs, ok, truly } from './expect.ts';
import { differences, type Snapshot, snapshotTree } from './snapshot.ts';
import type { Door } from './target.ts';
import { fuse } from './targets/fuse.ts';
import { inProcess } from './targets/in-process.ts';
import { kernel } from './targets/kernel.ts';
import { SysDoor } from './targets/sys-door.ts';
import { dir, file, hardlink, plant, symlink, type Tree } from './tree.ts';

const sys = openSys();
const base = openBaseDir(sys, true);
const reason = fuse.unavailable(base);
afterAll(() => base.close(), 60_000);

const lower: Tree = {
  gone: file('gone'),
  moved: file('moved'),
  kept: file('kept'),
  link: symlink('kept'),
  full: dir({ a: file('a'), b: dir({ c: file('c') }) }),
  renamed: dir({ x: file('x'), y: file('y') }),
  replaced: dir({ old: file('old') }),
  partly: dir({ gone: file('gone'), stays: file('stays'), sub: dir({ gone: file('gone') }) }),
};

/** What a person does on top of `lower`: whiteouts, opaque and redirected directories, hard links, copies. */
function work(m: Door): void {
  ok(m.unlink('gone'));
  ok(m.rename('moved', 'here'));
  ok(m.chmod('kept', 0o600));
  ok(m.unlink('link'));
  ok(m.link('kept', 'linked'));
  for (const name of ['full/a', 'full/b/c']) {
    ok(m.unlink(name));
  }
  ok(m.rmdir('full/b'));
  ok(m.rmdir('full'));
  ok(m.unlink('renamed/x'));
  ok(m.rename('renamed', 'elsewhere'));
  ok(m.unlink('replaced/old'));
  ok(m.rmdir('replaced'));
  ok(m.mkdir('replaced', 0o755));
  writeFile(m, 'replaced/new', 'new');
  ok(m.unlink('partly/gone'));
  ok(m.unlink('partly/sub/gone'));
  ok(m.rmdir('partly/sub'));
  ok(m.rename('partly/stays', 'partly/sub'));
}

function must(view: View | number, what: string): View {
  if (typeof view === 'number') {
    check(view, what);
    throw new Error(what);
  }
  return view;
}

function makeDirs(at: ByteString, parts: readonly string[]): void {
  for (const part of parts) {
    check(sys.mkdirat(c.AT_FDCWD, `${at}/${part}`, 0o755), part);
  }
}

function plantAt(path: ByteString, tree: Tree): void {
  const fd = check(sys.openat(c.AT_FDCWD, path, c.O_RDONLY | c.O_DIRECTORY, 0), path);
  plant(sys, fd, tree, 'trusted.overlay.');
  sys.close(fd);
}

/** A mount with room for another overlay in it. */
class Middle {
  readonly #layers: LayerDirs;
  readonly at: ByteString;

  /** `on`: what its lowers are the layers of. */
  constructor(name: string, on: Middle | null = null) {
    const top = base.make(name);
    makeDirs(top, ['lower', 'upper', 'work', 'merged']);
    this.at = `${top}/merged`;
    this.#layers = {
      lowers: on === null ? [`${top}/lower`] : [on.#layers.upper!, ...on.#layers.lowers],
      upper: `${top}/upper`,
      work: `${top}/work`,
      merged: this.at,
      options: ['redirect_dir=on'],
    };
  }

  async mounted<T>(by: Backend, run: () => Promise<T>): Promise<T> {
    const view = must(await by.mount(sys, this.#layers), `${by.name} below`);
    try {
      return await run();
    } finally {
      await view.close();
    }
  }

  /** What `by` shows of the layers `lowers` in the mount, and with `upper` what `run` does there. */
  async shown(by: Backend, lowers: readonly string[], upper: boolean, run: (m: Door) => void): Promise<Snapshot> {
    const view = must(
      await by.mount(sys, {
        lowers: lowers.map((name) => `${this.at}/${name}`),
        upper: upper ? `${this.at}/upper` : null,
        work: `${this.at}/work`,
        merged: `${this.at}/view`,
        // The kernel's defaults: it reads no file of metadata alone without being told to.
        options: [upper ? 'redirect_dir=on' : 'redirect_dir=follow', 'metacopy=off'],
      }),
      `${by.name} on top`,
    );
    try {
      const m = view.door('');
      run(m);
      if (upper) {
        ok(m.utimens('.', [5, 0], [5, 0]));
      }
      m.end();
      return snapshotTree(sys, `${this.at}/view`);
    } finally {
      await view.close();
    }
  }
}

function same(a: Snapshot, b: Snapshot, what: string): void {
  equal(differences(a, b, 'as it was left', what), []);
}

describe('layers in a mount', () => {
  if (reason !== null) {
    it('of mounts', (context) => context.skip(reason));
    return;
  }
  for (const writer of [kernel, fuse]) {
    describe(`an upper that ${writer.name} wrote in a strata mount`, () => {
      const middle = { at: null as Middle | null, left: new Map() as Snapshot };
      beforeAll(async () => {
        const made = new Middle(`written-by-${writer.name}`);
        middle.at = made;
        await made.mounted(fuse, async () => {
          makeDirs(made.at, ['lower', 'upper', 'work', 'view']);
          plantAt(`${made.at}/lower`, lower);
          middle.left = await made.shown(writer, ['lower'], true, work);
        });
      }, 60_000);
      for (const below of [fuse, kernel]) {
        for (const top of [kernel, fuse]) {
          it(`is a lower for ${top.name} in a mount by ${below.name}`, async () => {
            const { at, left } = middle;
            await at!.mounted(below, async () => {
              const seen = await at!.shown(top, ['upper', 'lower'], false, (m) => {
                equal(names(m, '.'), ['elsewhere', 'here', 'kept', 'linked', 'partly', 'replaced']);
              });
              same(left, seen, `by ${top.name}`);
            });
          });
        }
      }
      for (const top of [kernel, fuse]) {
        it(`goes on as the upper of ${top.name} from a lower of the mount`, async () => {
          const { at, left } = middle;
          const above = new Middle(`above-${writer.name}-${top.name}`, at);
          await above.mounted(fuse, async () => {
            const seen = await above.shown(top, ['lower'], true, (m) => {
              equal(names(m, '.'), ['elsewhere', 'here', 'kept', 'linked', 'partly', 'replaced']);
              writeFile(m, 'gone', 'back');
              ok(m.unlink('gone'));
              ok(m.mkdir('full', 0o755));
              ok(m.rmdir('full'));
            });
            same(left, seen, `by ${top.name}`);
          });
          await at!.mounted(fuse, async () => {
            same(left, await at!.shown(top, ['upper', 'lower'], false, () => {}), 'below');
          });
        });
        it(`goes on as the upper of ${top.name}`, async () => {
          const { at, left } = middle;
          await at!.mounted(fuse, async () => {
            const seen = await at!.shown(top, ['lower'], true, (m) => {
              writeFile(m, 'gone', 'back');
              ok(m.unlink('gone'));
            });
            same(left, seen, `by ${top.name}`);
          });
        });
      }
    });
  }

  for (const by of [kernel, fuse, inProcess]) {
    it(`a lower that holds the upper and the workdir: ${by.name} leads into neither`, async () => {
      const at = base.make(`around-${by.name}`);
      makeDirs(at, ['sub', 'sub/upper', 'sub/work', 'merged']);
      plantAt(at, { f: file('below') });
      const layers = { lowers: [at], upper: `${at}/sub/upper`, work: `${at}/sub/work`, merged: `${at}/merged` };
      const view = must(await by.mount(sys, { ...layers, options: ['redirect_dir=on', 'metacopy=off'] }), by.name);
      try {
        const m = view.door('');
        equal(names(m, 'sub'), ['upper', 'work']);
        for (const path of ['sub/upper', 'sub/work', 'sub/upper/f', 'sub/work/work']) {
          fails(ELOOP, m.lstat(path));
        }
        fails(ELOOP, m.mkdir('sub/upper/new', 0o755));
        writeFile(m, 'f', 'above');
        ok(m.mkdir('sub/new', 0o755));
        equal(names(m, 'sub'), ['new', 'upper', 'work']);
        fails(ELOOP, m.lstat('sub/upper'));
        m.end();
      } finally {
        await view.close();
      }
    });
  }

  for (const top of [kernel, fuse]) {
    it(`a file that loses the first of its names, by ${top.name}`, async () => {
      const made = new Middle(`first-name-${top.name}`);
      await made.mounted(fuse, async () => {
        makeDirs(made.at, ['lower', 'upper', 'work', 'view']);
        const seen = await made.shown(top, ['lower'], true, (m) => {
          writeFile(m, 'a', 'content');
          ok(m.link('a', 'b'));
          ok(m.lstat('b'));
          ok(m.unlink('a'));
          if (top === kernel) {
            // It goes on to ask the mount below for the name that has gone.
            fails(ESTALE, m.lstat('b'));
          } else {
            bytesAre(readFile(m, 'b'), 'content');
          }
        });
        equal(seen.get('b')?.error, top === kernel ? 'ESTALE' : undefined);
        // Nothing is wrong with what lies there.
        await made.shown(top, ['lower'], true, (m) => bytesAre(readFile(m, 'b'), 'content'));
      });
    });
  }

  it("the kernel's overlay on top has no index, no numbers that last, and sees no flags", async () => {
    const made = new Middle('without-handles');
    await made.mounted(fuse, async () => {
      makeDirs(made.at, ['lower', 'upper', 'work', 'view']);
      plantAt(`${made.at}/lower`, { f: file('content'), g: hardlink('f'), flagged: file('content') });
      const below = new SysDoor(sys, made.at);
      const flag = (flags: number): void => {
        const fd = ok<number>(below.open('lower/flagged', c.O_RDONLY));
        const set = below.setflags(fd, flags);
        below.close(fd);
        ok(set);
      };
      flag(c.FS_IMMUTABLE_FL);
      fails(EPERM, below.chmod('lower/flagged', 0o600));
      const looked = async (run: (m: Door) => void): Promise<void> => {
        const view = await kernel.mount(sys, {
          lowers: [`${made.at}/lower`],
          upper: `${made.at}/upper`,
          work: `${made.at}/work`,
          merged: `${made.at}/view`,
          options: ['redirect_dir=on', 'index=on', 'nfs_export=on'],
        });
        const shown = must(view, 'the kernel on top');
        const m = shown.door('');
        try {
          run(m);
        } finally {
          m.end();
          await shown.close();
        }
      };
      let number = 0n;
      await looked((m) => {
        number = lstat(m, 'f').ino;
        ok(m.chmod('f', 0o600));
        ok(m.chmod('flagged', 0o600));
        // The link is broken, as without an index.
        modeIs(lstat(m, 'g').mode, 0o644);
      });
      equal(names(below, 'work').includes('index'), false);
      await looked((m) => {
        modeIs(lstat(m, 'f').mode, 0o600);
        truly(lstat(m, 'f').ino !== number, 'the copy has a number of its own');
      });
      flag(0);
      below.end();
    });
  });

  it('whiteouts that a tool has written as marked files, one level down, count for an overlay on top', async () => {
    const made = new Middle('made-by-a-tool');
    const marks = { 'trusted.overlay.overlay.whiteout': '' };
    const tree = {
      lower: dir(lower),
      image: dir(
        { gone: file('', { xattrs: marks }), moved: file('other'), full: file('', { xattrs: marks }) },
        { xattrs: { 'trusted.overlay.overlay.opaque': 'x' } },
      ),
      view: dir(),
      work: dir(),
    };
    plantAt(made.at.replace(/merged$/, 'lower'), tree);
    await made.mounted(fuse, async () => {
      for (const top of [kernel, fuse]) {
        await made.shown(top, ['image', 'lower'], false, (m) => {
          equal(names(m, '.'), ['kept', 'link', 'moved', 'partly', 'renamed', 'replaced']);
          bytesAre(readFile(m, 'moved'), 'other');
        });
      }
    });
  });
});
