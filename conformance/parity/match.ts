/**
 * A match: the same operations on both sides, every result compared; whole trees, uppers and
 * swaps where the sequence says `check` and `swap`. After a mismatch the states differ, and a new
 * match has to begin.
 */
import { createHash } from 'node:crypto';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { ENODATA } from 'stratafs/internal/sys/errno';
import { Stat } from 'stratafs/internal/sys/stat';
import type { Sys } from 'stratafs/internal/sys/sys';
import { tick } from '../calls.ts';
import { differences, type Snapshot, sealed } from '../snapshot.ts';
import { Caller } from './caller.ts';
import { Completed } from './completed.ts';
import { Descriptors } from './descriptors.ts';
import { kinds } from './kinds/all.ts';
import { replacing } from './kinds/slots.ts';
import { LinkedNames } from './linked-names.ts';
import { look } from './look.ts';
import { LowerNumbers } from './lower-numbers.ts';
import type { Mode } from './modes.ts';
import type { Operation } from './operation.ts';
import { Pair } from './pair.ts';
import { mergedPath, namePath } from './places.ts';
import { isFailure, Turn } from './turn.ts';
import { Twins } from './twins.ts';
import { UpperView, uuidOf } from './upper-view.ts';
import { BLOCK, View, type Yardstick } from './view.ts';
import { CAPABILITY } from './vocabulary.ts';

export interface Mismatch {
  /** What was compared: a result, the trees, the uppers, the lowers with themselves. */
  readonly what: string;
  readonly lines: readonly string[];
}

export interface Outcome {
  readonly mismatch: Mismatch | null;
  /** The kernel's. */
  readonly result: string;
  /** The sides differ from here on, as they may: there is nothing more to compare on these layers. */
  readonly parted?: true;
}

/** A link count as look.ts writes it. */
const LINKS = / (\d+)l\b/g;

const BLOCKS = / (\d+)b\b/g;

/** `U+1` and the like, in hex. */
const NLINK = 'xattr trusted.overlay.nlink';

function fromHex(text: string): number {
  return Number(Buffer.from(text, 'hex').toString('latin1'));
}

export const CHECK = 'check';
export const SWAP = 'swap';

export class Match {
  readonly #sys: Sys;
  readonly #caller: Caller;
  readonly #metacopy: boolean;
  readonly #userns: boolean;
  readonly #index: boolean;
  /** Blocks are as the disk gives them, or come late: in a user namespace, on a disk that allocates as it writes back. */
  readonly #late: boolean;
  /** docs/differences.md, "nfs_export: after a remount": the kernel's link counts have the index entry in them. */
  readonly #entriesCount: boolean;
  /** docs/differences.md, "On ext4 `st_blocks` may be one or two blocks". */
  readonly #onDisk: boolean;
  readonly pair: Pair;
  #turns: readonly [Turn, Turn] | null = null;
  #yard: Yardstick | null = null;
  #descriptors: Descriptors | null = null;
  /** null where no file has its metadata alone copied up. */
  #completed: Completed | null = null;
  #twins: Twins | null = null;
  /** docs/differences.md, "`index`: when a lower hard link has been copied up"; null without an index. */
  #linked: LinkedNames | null = null;
  #lowersBefore: readonly Snapshot[] = [];
  /** Whether the sides have exchanged their uppers: each may hold what only the other writes. */
  #remounted = false;
  /** The kernel's tree, when it was last looked at. */
  seen: View | null = null;

  constructor(sys: Sys, mode: Mode) {
    this.#sys = sys;
    this.#caller = new Caller(sys);
    this.#metacopy = mode.options.includes('metacopy=on');
    this.#userns = mode.userns === true;
    this.#index = mode.options.includes('index=on');
    this.#late = this.#userns;
    this.#onDisk = mode.upperOn !== 'base';
    this.#entriesCount = mode.options.includes('nfs_export=on');
    this.pair = new Pair(sys, mode);
  }

  /** Layers by this seed, without what `cut` takes out of them; both mounted and compared. */
  async begin(seed: number, cut?: (lowers: readonly string[]) => void): Promise<Mismatch | null> {
    await this.#leave();
    this.#twins = null;
    this.#linked = this.#index ? new LinkedNames() : null;
    this.#completed = this.#metacopy ? new Completed(this.#sys) : null;
    this.#remounted = false;
    this.pair.reset(seed);
    cut?.(this.pair.lowers);
    this.#lowersBefore = this.pair.lowers.map((lower) => sealed(this.#sys, lower, true));
    const numbers = new LowerNumbers(this.#sys, this.pair.lowers, this.pair.upperRoot);
    tick();
    const now = Date.now();
    this.#yard = { since: [Math.floor(now / 1000), (now % 1000) * 1e6], numbers };
    tick();
    await this.#enter();
    return this.#compareTrees();
  }

  async #enter(): Promise<void> {
    await this.pair.mount();
    const [kernel, ours] = this.pair.merged;
    this.#turns = [new Turn(this.#sys, true, kernel), new Turn(this.#sys, false, ours)];
    this.#descriptors = new Descriptors(...this.#turns);
    this.#twins = this.#userns ? new Twins(this.#turns, this.#twins) : null;
  }

  async #leave(): Promise<void> {
    for (const turn of this.#turns ?? []) {
      turn.end();
    }
    this.#turns = null;
    await this.pair.unmount();
  }

  async close(): Promise<void> {
    await this.#leave();
    await this.pair.close();
  }

  /** One operation, CHECK and SWAP among them. */
  async step(op: Operation): Promise<Outcome> {
    if (op.kind === CHECK) {
      this.pair.alive();
      return { mismatch: this.#compareTrees(), result: '0' };
    }
    if (op.kind === SWAP) {
      return { mismatch: await this.#swap(), result: '0' };
    }
    return this.#play(op);
  }

  #play(op: Operation): Outcome {
    const [kernel, ours] = this.#turns!;
    const descriptors = this.#descriptors!;
    if (op.kind === 'slot-link' && descriptors.adrift(op.slot, op)) {
      return { mismatch: null, result: 'EBADF' };
    }
    this.#twins?.look(op);
    if (this.#userns && op.kind === 'too-long') {
      this.#strip(op.path);
    }
    this.#completed?.begin(kernel, this.pair.stores[0], op, pathsOf(op));
    const [expected, times, moves] = this.#turn(kernel, op);
    this.#completed?.end();
    const [got, own, ownMoves] = this.#turn(ours, op);
    if (this.#userns && op.kind === 'slot-map' && op.flags === 2) {
      this.#touch(op.slot);
    }
    descriptors.learn(op, got);
    if (this.#linked !== null && op.kind.startsWith('rename') && !isFailure(expected)) {
      const [from, to] = this.#namesOf(op);
      this.#linked.moved(from, to, op.kind === 'rename-exchange');
    }
    this.#twins?.look(op);
    if (this.#twins?.keptCapabilities(op)) {
      return { mismatch: null, result: expected, parted: true };
    }
    const [its, said] = [expected, this.#counted(op, expected, this.#timed(op, expected, got))].map((result) =>
      this.#comparable(result, op),
    );
    const timely = times.every(
      (change, i) =>
        agree(this.#comparable(change, op), this.#comparable(own[i], op)) || this.#forgives(change, own[i]),
    );
    if (
      (its === said && timely) ||
      descriptors.mapsCopy(op, its, said) ||
      descriptors.keepsBits(op, its, said) ||
      (this.#onDisk && timely && descriptors.seesWhatIsCached(op, its, said)) ||
      descriptors.adrift(op.slot, op) ||
      descriptors.adrift(op.other, op)
    ) {
      return { mismatch: null, result: expected };
    }
    // docs/differences.md, "copy_file_range(2) between a lower and an upper": the bytes are there by one side only.
    const copied = this.#onDisk && op.kind === 'slot-copy' && expected.startsWith('EXDEV') && !isFailure(got);
    // docs/differences.md, "With O_DIRECT": the bytes are there by ours only.
    const aligned =
      this.#onDisk &&
      op.kind === 'direct-write' &&
      expected.startsWith('EINVAL') &&
      !isFailure(got) &&
      descriptors.elsewhere(op.path);
    if (copied || aligned || this.#unreachable(op, expected, got) || this.#twins?.explain(op, expected, got)) {
      return { mismatch: null, result: expected, parted: true };
    }
    return {
      mismatch: {
        what: 'result',
        lines: [
          `kernel: ${expected} ${times.join(' ')}`,
          `ours:   ${got} ${own.join(' ')}`,
          ...(expected === got
            ? [`mtimes of the kernel's: ${moves.join(', ')}`, `of ours: ${ownMoves.join(', ')}`]
            : []),
        ],
      },
      result: expected,
    };
  }

  /** docs/differences.md, "A file of metadata alone that is renamed or linked where its redirect would be longer": ours has its data. */
  #unreachable({ kind, path, to, slot }: Operation, expected: string, got: string): boolean {
    const moving = kind.startsWith('rename') || kind === 'link' || kind === 'slot-link';
    if (!this.#metacopy || !moving || !expected.startsWith('EXDEV') || isFailure(got)) return false;
    const [kernel] = this.#turns!;
    if (kind === 'slot-link') return this.#sameWhole(kernel.slots[slot], '', to);
    const moves = kind === 'rename-exchange' ? [path, to] : [path];
    // What else is exchanged with a file has a redirect of its own, or needs none.
    const files = moves.filter((at) => {
      const { sys, root, stat } = kernel;
      return sys.statx(root, at, c.AT_SYMLINK_NOFOLLOW, stat) === 0 && stat.type === c.S_IFREG;
    });
    return files.length > 0 && files.every((at) => this.#sameWhole(kernel.root, at, at === path ? to : path));
  }

  /** Whether our `name` is a file that has its data in the upper, and the bytes of the kernel's at `path`. */
  #sameWhole(dirfd: number, path: ByteString, name: ByteString): boolean {
    const [kernel, ours] = this.#turns!;
    const at = `${this.pair.stores[1].upper}/${namePath(ours, name)}`;
    if (this.#sys.statx(c.AT_FDCWD, at, c.AT_SYMLINK_NOFOLLOW, kernel.stat) < 0) return false;
    if (kernel.stat.type !== c.S_IFREG) return false;
    const mark = this.#sys.getxattrat(c.AT_FDCWD, at, 'trusted.overlay.metacopy', Buffer.alloc(256));
    const seen = wholeOf(ours, ours.root, name);
    return mark === -ENODATA && seen !== null && seen === wholeOf(kernel, dirfd, path);
  }

  /** docs/differences.md, "A write that RLIMIT_FSIZE refuses": with nothing to lose it is alike. */
  #strip(path: ByteString): void {
    for (const { sys, root, stat } of this.#turns!) {
      const fd = sys.openat(root, path, c.O_RDONLY | c.O_NONBLOCK, 0);
      if (sys.fstat(fd, stat) >= 0 && stat.type === c.S_IFREG) {
        sys.fremovexattr(fd, CAPABILITY);
        sys.fchmod(fd, stat.mode & 0o1777);
      }
      sys.close(fd);
    }
  }

  /** A store through a mapping moves the mtime of a file of FUSE, and not of one on tmpfs, which the kernel's mapping is of. */
  #touch(slot: number): void {
    for (const { slots } of this.#turns!) {
      this.#sys.utimensat(slots[slot], '', 0, c.UTIME_OMIT, 0, c.UTIME_NOW, c.AT_EMPTY_PATH);
    }
  }

  #namesOf(op: Operation): ByteString[] {
    return pathsOf(op).map((path) => namePath(this.#turns![0], path));
  }

  /** Without what differs in a user namespace (view.ts) or on a disk: blocks, and whether a number changed. */
  #comparable(result: string, op: Operation): string {
    const said = this.#linked?.comparable(result, () => this.#namesOf(op)) ?? result;
    return this.#late ? said.replace(/ \d+b\b/g, '').replace(/^(\?|m|-)i$/, '$1') : said;
  }

  /** Ours, with the kernel's counts of links and blocks where the rows on them let these differ by one. */
  #counted(op: Operation, expected: string, got: string): string {
    const counts = [...expected.matchAll(LINKS)].map(([, count]) => Number(count));
    const blocks = [...expected.matchAll(BLOCKS)].map(([, count]) => Number(count));
    if (this.#onDisk) {
      return got.replace(BLOCKS, (text, count) => {
        const its = blocks.shift() ?? 0;
        return Math.abs(its - Number(count)) <= 2 * BLOCK ? ` ${its}b` : text;
      });
    }
    if (!this.#entriesCount) {
      return got;
    }
    const raw = new Set(
      pathsOf(op).flatMap((path) =>
        [0, c.O_NOFOLLOW].map((flags) => this.#rawLinks(mergedPath(this.#turns![0], path, flags))),
      ),
    );
    return got.replace(LINKS, (text, count) => {
      const its = counts.shift();
      return its === Number(count) + 1 && (op.slot >= 0 || raw.has(its)) ? ` ${its}l` : text;
    });
  }

  /** How many links what is merged at `path` has in the kernel's upper, its index entry among them; -1 for none. */
  #rawLinks(path: ByteString | null): number {
    const st = new Stat();
    const at = `${this.pair.stores[0].upper}/${path}`;
    return path !== null && this.#sys.statx(c.AT_FDCWD, at, c.AT_SYMLINK_NOFOLLOW, st) === 0 ? st.nlink : -1;
  }

  /** Ours, with the kernel's time where the row on the data of a file of metadata alone lets statx tell another. */
  #timed(op: Operation, expected: string, got: string): string {
    if (this.#completed === null || op.kind !== 'statx' || !/ \| 10[0-7]{4} /.test(expected)) {
      return got;
    }
    const path = mergedPath(this.#turns![0], op.path);
    if (path === null || !this.#completed.has(this.pair.stores, path)) {
      return got;
    }
    const its = expected.split(' ');
    const moved = (a: string, b: string | undefined): boolean => a === 'now' && /^-?\d+\+\d+$/.test(b ?? '');
    return got
      .split(' ')
      .map((word, i) => (moved(its[i], word) || (this.#remounted && moved(word, its[i])) ? its[i] : word))
      .join(' ');
  }

  /** docs/differences.md, "The data of a file of metadata alone": copied up with its times as they were. */
  #forgives(kernels: string, ours: string): boolean {
    return this.#completed?.now === true && kernels === 'm' && ours === '-';
  }

  #differences(kernel: Snapshot, ours: Snapshot): string[] {
    if (this.#onDisk) {
      for (const [path, entry] of kernel) {
        const own = ours.get(path) as Record<string, string> | undefined;
        if (own !== undefined && Math.abs(Number(entry.blocks) - Number(own.blocks)) <= 2 * BLOCK) {
          own.blocks = entry.blocks;
        }
      }
    }
    if (this.#late) {
      for (const entry of [...kernel.values(), ...ours.values()]) {
        delete (entry as Record<string, string>).blocks;
      }
    }
    if (this.#entriesCount) {
      for (const [path, entry] of kernel) {
        const own = ours.get(path) as Record<string, string> | undefined;
        if (own === undefined) continue;
        const entries = !/^(upper|index|work)\b/.test(path) && Number(entry.nlink) === this.#rawLinks(path);
        if (entries && Number(entry.nlink) === Number(own.nlink) + 1) own.nlink = entry.nlink;
        const [mark, its] = [entry, own].map((at) => /^55([0-9a-f]+)$/.exec(at[NLINK] ?? '')?.[1]);
        if (mark && its && fromHex(mark) === fromHex(its) + 1) own[NLINK] = entry[NLINK];
        // The entry of what has no name left.
        if (path.startsWith('index/') && entry.nlink === '1' && own.mode === '20000') {
          (kernel as Map<string, unknown>).delete(path);
          (ours as Map<string, unknown>).delete(path);
        }
      }
    }
    this.#completed?.forgive(kernel, ours, this.pair.stores, this.#remounted);
    return differences(kernel, ours, "the kernel's", 'ours');
  }

  #turn(turn: Turn, op: Operation): [result: string, times: string[], moves: string[]] {
    const { sys } = turn;
    const watched = op.watched === 1;
    const paths = pathsOf(op);
    // In a user namespace the mtime after a store is not compared (#touch).
    const unlike = replacing.includes(op.kind) || (this.#userns && op.kind === 'slot-map');
    const slots = unlike ? [] : [op.slot, op.other].filter((slot) => slot >= 0);
    const timed = (): (Times | null)[] => [
      ...paths.flatMap((path) => this.#times(turn, path)),
      ...slots.map((slot) => times(turn, turn.slots[slot], '', c.AT_EMPTY_PATH)),
    ];
    const before = watched ? timed() : [];
    const began = Date.now();
    sys.umask(op.umask);
    let result = this.#caller.as(op.user, () => kinds[op.kind].run(turn, op));
    sys.umask(0);
    for (const path of paths) {
      result += ` | ${look(turn, turn.root, path)}`;
    }
    if (op.slot >= 0 && op.kind !== 'slot-close') {
      result += ` | ${look(turn, turn.slots[op.slot], '')}`;
    }
    const after = watched && !isFailure(result) ? timed() : [];
    return [
      result,
      after.map((now, i) => changes(before[i], now, began)),
      after.map((now, i) => `${mtimeOf(before[i])} to ${mtimeOf(now)}`),
    ];
  }

  /** Of a path, then of the directory that holds it. */
  #times(turn: Turn, path: string): (Times | null)[] {
    const slash = path.lastIndexOf('/');
    return [path, slash < 0 ? '.' : path.slice(0, slash)].map((at) =>
      times(turn, turn.root, at, c.AT_SYMLINK_NOFOLLOW),
    );
  }

  #compareTrees(): Mismatch | null {
    const [kernel, ours] = this.#turns!.map((turn) => new View(turn, this.#yard!));
    this.seen = kernel;
    kernel.forgive(ours);
    kernel.forgiveAtimes(ours);
    kernel.forgiveBirths(ours);
    if (this.#late) {
      kernel.forgiveBlocks(ours);
    }
    if (this.#userns) {
      kernel.forgiveNumbers(ours);
    }
    this.#linked?.note(kernel.linked);
    this.#linked?.forgiveCopies(kernel.snapshot, ours.snapshot);
    return mismatchOf('the trees differ', this.#differences(kernel.snapshot, ours.snapshot));
  }

  async #swap(): Promise<Mismatch | null> {
    await this.#leave();
    const [kernel, ours] = this.pair.stores.map((store) => new UpperView(this.#sys, store, this.#yard!).snapshot);
    this.#twins?.forgiveImpure(kernel, ours);
    this.#linked?.forgiveNames(kernel, ours);
    const uppers = this.#differences(kernel, ours);
    const lowers = this.pair.lowers.flatMap((lower, i) =>
      differences(this.#lowersBefore[i], sealed(this.#sys, lower, true), 'the lower before', 'after'),
    );
    const uuids = this.pair.stores.map((store) => uuidOf(this.#sys, store));
    this.pair.swap();
    this.#remounted = true;
    await this.#enter();
    const [byOurs, byKernel] = this.pair.stores.map((store) => uuidOf(this.#sys, store));
    const renamed = [byKernel, byOurs].flatMap((uuid, i) =>
      uuids[i] === '' || uuid === uuids[i] ? [] : [`overlay.uuid of ${uuids[i]} is ${uuid} since another mounted it`],
    );
    return (
      mismatchOf('the uppers differ', uppers) ??
      mismatchOf('a lower was changed', lowers) ??
      mismatchOf('an upper was renamed', renamed) ??
      this.#renamed(this.#compareTrees(), 'after a swap the trees differ')
    );
  }

  #renamed(mismatch: Mismatch | null, what: string): Mismatch | null {
    return mismatch === null ? null : { ...mismatch, what };
  }
}

/** All bytes of a file, as a digest; null where it cannot be read. */
function wholeOf({ sys, buf }: Turn, dirfd: number, path: ByteString): string | null {
  const at = path === '' ? `/proc/self/fd/${dirfd}` : path;
  const fd = sys.openat(dirfd, at, c.O_RDONLY | c.O_NONBLOCK, 0);
  if (fd < 0) return null;
  const hash = createHash('md5');
  let n = 1;
  for (let off = 0; n > 0; off += n) {
    n = sys.pread(fd, buf, 0, buf.length, off);
    hash.update(buf.subarray(0, Math.max(0, n)));
  }
  sys.close(fd);
  return n < 0 ? null : hash.digest('hex');
}

function pathsOf(op: Operation): ByteString[] {
  return [op.path, op.to].filter((path) => path !== '');
}

interface Times {
  readonly sec: number;
  readonly nsec: number;
  readonly ino: bigint;
}

function times({ sys, stat }: Turn, dirfd: number, path: ByteString, flags: number): Times | null {
  return sys.statx(dirfd, path, flags, stat) < 0 ? null : { sec: stat.mtime, nsec: stat.mtimeNsec, ino: stat.ino };
}

function mtimeOf(times: Times | null): string {
  return times === null ? 'nothing' : `${times.sec}.${String(times.nsec).padStart(9, '0')}`;
}

/** The filesystems' clock moves in steps, of 10 ms at most; what changes twice within one has the same time. */
const STEP_MS = 12;

/**
 * Letters for what changed: `m` the mtime, `i` the inode number. `?` cannot be told: the mtime is
 * as before, which was a moment ago.
 */
function changes(before: Times | null, after: Times | null, began: number): string {
  if (before === null || after === null) {
    return before === after ? 'none' : 'new';
  }
  const moved = before.sec !== after.sec || before.nsec !== after.nsec;
  // Another file's time says nothing.
  const fresh = before.ino !== after.ino || Math.abs(began - (before.sec * 1000 + before.nsec / 1e6)) < STEP_MS;
  return `${fresh && (!moved || before.ino !== after.ino) ? '?' : moved ? 'm' : '-'}${before.ino === after.ino ? '' : 'i'}`;
}

function agree(a: string, b: string): boolean {
  return a === b || ((a.startsWith('?') || b.startsWith('?')) && a.slice(1) === b.slice(1));
}

function mismatchOf(what: string, lines: readonly string[]): Mismatch | null {
  return lines.length === 0 ? null : { what, lines: lines.slice(0, 40) };
}
