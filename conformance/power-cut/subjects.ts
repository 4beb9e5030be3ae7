/**
 * What a load does and what a power cut may leave of it. A subject is a few names of a lower and the
 * steps that change them, one after another; steps of many subjects are mixed. After a cut a subject
 * must stand as it was after some step: not before the last one that an fsync had acknowledged when
 * the power went, not after the one that was under way.
 *
 * Data that no fsync acknowledged is the filesystem's to lose: what a program wrote since may be cut
 * short or read as zeros. What a copy-up copied may not: the union alone decided to have it copied.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { ENODATA, ENOENT, errnoName } from 'stratafs/internal/sys/errno';
import { exists, names, readFile, writeAll } from '../calls.ts';
import { ok } from '../expect.ts';
import type { Random } from '../random.ts';
import type { Door } from '../target.ts';
import { type Attrs, dir, file, hardlink, type Node, sparse, symlink } from '../tree.ts';

export interface Step {
  /** Throws where a call fails. */
  act(t: Door): void;
  /** Whether the act ends in an fsync that acknowledges all the steps of its subject so far. */
  durable: boolean;
}

export interface Subject {
  /** Its name: every name of it in the root begins so. */
  name: ByteString;
  lower: Record<ByteString, Node>;
  steps: Step[];
  /** What is wrong, where none of the states from `floor` (steps acknowledged) to `begun` fits; else null. */
  judge(t: Door, floor: number, begun: number): string | null;
}

/** `index`: the names of a lower file stay one file when it is copied up. */
type Make = (name: ByteString, r: Random, index: boolean) => Subject;

/** Bytes that say where they belong: no two places of any file hold the same 16. */
function text(name: string, length: number): Buffer {
  let all = '';
  for (let i = 0; all.length < length; i++) all += `${name}:${i};`.padEnd(16, '.');
  return Buffer.from(all.slice(0, length), 'latin1');
}

const sizes = [0, 11, 4096, 20_000, 70_000, 300_000];

/** Opens, writes, and flushes if asked. */
function writing(path: ByteString, flags: number, data: Buffer, durable: boolean): (t: Door) => void {
  return (t) => {
    const fd = ok<number>(t.open(path, c.O_WRONLY | flags, 0o644));
    writeAll(t, fd, data);
    if (durable) ok(t.fsync(fd));
    ok(t.close(fd));
  };
}

function flushing(t: Door, path: ByteString): void {
  const fd = ok<number>(t.open(path, c.O_RDONLY));
  ok(t.fsync(fd));
  ok(t.close(fd));
}

/** `seen` is what a program wrote, as far as it got: some of it, the rest missing or zeros. */
function isBegun(seen: Buffer, written: Buffer, sure: number): boolean {
  if (seen.length > written.length || seen.length < sure) return false;
  for (let i = 0; i < seen.length; i++) {
    if (seen[i] !== written[i] && (i < sure || seen[i] !== 0)) return false;
  }
  return true;
}

function brief(seen: Buffer): string {
  return seen.every((byte) => byte === 0)
    ? `${seen.length} zeros`
    : `${seen.length} bytes, ${seen.toString('latin1', 0, 24)}…`;
}

/** The states that count, the latest first, and what the judgement says when none fits. */
function anyOf(floor: number, begun: number, fits: (state: number) => boolean, otherwise: () => string): string | null {
  for (let state = begun; state >= floor; state--) {
    if (fits(state)) return null;
  }
  return `${otherwise()}, not as after any of the steps ${floor} to ${begun}`;
}

const attrs: Attrs = { mode: 0o640, uid: 12, gid: 34, xattrs: { 'user.kept': 'kept' } };

/** What a copy-up has to keep. */
function badAttrs(t: Door, path: ByteString, mode = attrs.mode): string | null {
  const st = t.lstat(path);
  if (typeof st === 'number') return `${path}: ${errnoName(st)}`;
  if ((st.mode & 0o7777) !== mode || st.uid !== attrs.uid || st.gid !== attrs.gid) {
    return `${path} has mode ${(st.mode & 0o7777).toString(8)}, owner ${st.uid}:${st.gid}`;
  }
  const kept = t.lgetxattr(path, 'user.kept');
  return typeof kept !== 'number' && kept.toString() === 'kept' ? null : `${path} has lost an attribute`;
}

/** A log that is appended to, in the root or below directories of the lower. */
const append: Make = (name, r) => {
  const deep = r.below(2) === 0;
  const path = deep ? `${name}/sub/log` : name;
  const size = r.pick(sizes);
  const hole = r.below(4) === 0 ? 100_000 : 0;
  const start = Buffer.concat([Buffer.alloc(hole), text(name, size)]);
  const log = sparse(start.length, [[hole, start.subarray(hole)]], attrs);
  const states = [start];
  const steps: Step[] = [];
  for (let i = 1 + r.below(4); i > 0; i--) {
    const before = states[states.length - 1];
    const data = text(`${name}+${i}`, 1 + r.below(9000));
    const durable = r.below(2) === 0;
    states.push(Buffer.concat([before, data]));
    steps.push({ durable, act: writing(path, c.O_APPEND, data, durable) });
  }
  return {
    name,
    lower: { [name]: deep ? dir({ sub: dir({ log, beside: file('beside') }, attrs) }, attrs) : log },
    steps,
    judge(t, floor, begun) {
      const seen = readFile(t, path);
      if (!isBegun(seen, states[begun], states[floor].length)) {
        return `${path} has ${brief(seen)}; ${states[floor].length} bytes are sure`;
      }
      if (deep && readFile(t, `${name}/sub/beside`).toString() !== 'beside') return `${name}/sub/beside is lost`;
      return badAttrs(t, path) ?? (deep ? (badAttrs(t, name) ?? badAttrs(t, `${name}/sub`)) : null);
    },
  };
};

/** Changes of the mode: data is not touched and must be there. */
const chmod: Make = (name, r) => {
  const data = text(name, r.pick(sizes));
  const modes = [attrs.mode!, 0o600, 0o4711, 0o444].slice(0, 2 + r.below(3));
  return {
    name,
    lower: { [name]: file(data, attrs) },
    steps: modes.slice(1).map((mode) => {
      const durable = r.below(2) === 0;
      return {
        durable,
        act(t) {
          ok(t.chmod(name, mode));
          if (durable) flushing(t, name);
        },
      };
    }),
    judge(t, floor, begun) {
      const seen = readFile(t, name);
      if (!seen.equals(data)) return `${name} has ${brief(seen)} after chmod`;
      return anyOf(
        floor,
        begun,
        (state) => badAttrs(t, name, modes[state]) === null,
        () => `${badAttrs(t, name)}`,
      );
    },
  };
};

/** An attribute is set, twice. */
const xattr: Make = (name, r) => {
  const data = text(name, r.pick(sizes));
  const values = [null, 'one', 'two'];
  return {
    name,
    lower: { [name]: file(data, attrs) },
    steps: ['one', 'two'].map((value) => {
      const durable = r.below(2) === 0;
      return {
        durable,
        act(t) {
          ok(t.setxattr(name, 'user.set', value));
          if (durable) flushing(t, name);
        },
      };
    }),
    judge(t, floor, begun) {
      const seen = readFile(t, name);
      if (!seen.equals(data)) return `${name} has ${brief(seen)} after setxattr`;
      const value = t.getxattr(name, 'user.set');
      const is = typeof value === 'number' ? (value === -ENODATA ? null : errnoName(value)) : value.toString();
      return (
        badAttrs(t, name) ??
        anyOf(
          floor,
          begun,
          (state) => values[state] === is,
          () => `${name} has user.set ${is}`,
        )
      );
    },
  };
};

/** Open with O_TRUNC and write anew. */
const rewrite: Make = (name, r) => {
  const states = [text(name, r.pick(sizes))];
  const steps: Step[] = [];
  for (let i = 1 + r.below(3); i > 0; i--) {
    const data = text(`${name}=${i}`, 1 + r.below(30_000));
    const durable = r.below(2) === 0;
    states.push(data);
    steps.push({ durable, act: writing(name, c.O_TRUNC, data, durable) });
  }
  return {
    name,
    lower: { [name]: file(states[0], attrs) },
    steps,
    judge(t, floor, begun) {
      const seen = readFile(t, name);
      // What stood before the truncation must be whole: zeros in it were nobody's.
      const fits = (state: number): boolean =>
        state === floor ? seen.equals(states[state]) : isBegun(seen, states[state], 0);
      return badAttrs(t, name) ?? anyOf(floor, begun, fits, () => `${name} has ${brief(seen)}`);
    },
  };
};

/** Written beside, flushed, renamed over: what editors and package managers do. */
const replace: Make = (name, r) => {
  const states = [text(name, r.pick(sizes))];
  const temp = `${name}.tmp`;
  const steps: Step[] = [];
  for (let i = 1 + r.below(3); i > 0; i--) {
    const data = text(`${name}=${i}`, 1 + r.below(30_000));
    const durable = r.below(2) === 0;
    states.push(data);
    steps.push({
      durable,
      act(t) {
        writing(temp, c.O_CREAT | c.O_EXCL, data, true)(t);
        ok(t.rename(temp, name));
        if (durable) flushing(t, '.');
      },
    });
  }
  return {
    name,
    lower: { [name]: file(states[0], attrs) },
    steps,
    judge(t, floor, begun) {
      const seen = readFile(t, name);
      const left = exists(t, temp) ? readFile(t, temp) : null;
      const torn = anyOf(
        floor,
        begun,
        (state) => seen.equals(states[state]),
        () => `${name} has ${brief(seen)}`,
      );
      if (torn !== null || left === null) return torn;
      const begins = states.slice(floor + 1, begun + 1).some((data) => isBegun(left, data, 0));
      return begins ? null : `${temp} has ${brief(left)}`;
    },
  };
};

/** Removed and made again. */
const remove: Make = (name, r) => {
  const data = text(name, 1 + r.below(20_000));
  const anew = text(`${name}=`, 1 + r.below(20_000));
  const durable = [r.below(2) === 0, r.below(2) === 0];
  return {
    name,
    lower: { [name]: file(data, attrs) },
    steps: [
      {
        durable: durable[0],
        act(t) {
          ok(t.unlink(name));
          if (durable[0]) flushing(t, '.');
        },
      },
      {
        durable: durable[1],
        act(t) {
          writing(name, c.O_CREAT | c.O_EXCL, anew, durable[1])(t);
          if (durable[1]) flushing(t, '.');
        },
      },
    ],
    judge(t, floor, begun) {
      const seen = exists(t, name) ? readFile(t, name) : null;
      const fits = (state: number): boolean => {
        if (state === 0) return seen?.equals(data) === true && badAttrs(t, name) === null;
        if (state === 1) return seen === null;
        return seen !== null && isBegun(seen, anew, floor === 2 ? anew.length : 0);
      };
      return anyOf(floor, begun, fits, () => `${name} ${seen === null ? 'is missing' : `has ${brief(seen)}`}`);
    },
  };
};

/** A second name, then data through one of them. */
const link: Make = (name, r) => {
  const data = text(name, r.pick(sizes));
  const more = text(`${name}+`, 1 + r.below(5000));
  const second = `${name}.link`;
  const durable = [r.below(2) === 0, r.below(2) === 0];
  return {
    name,
    lower: { [name]: file(data, attrs) },
    steps: [
      {
        durable: durable[0],
        act(t) {
          ok(t.link(name, second));
          if (durable[0]) flushing(t, '.');
        },
      },
      {
        durable: durable[1],
        act(t) {
          writing(second, c.O_APPEND, more, durable[1])(t);
          if (durable[1]) flushing(t, '.');
        },
      },
    ],
    judge(t, floor, begun) {
      const written = begun === 2 ? Buffer.concat([data, more]) : data;
      const sure = floor === 2 ? written.length : data.length;
      const seen = readFile(t, name);
      if (!isBegun(seen, written, sure)) return `${name} has ${brief(seen)}; ${sure} bytes are sure`;
      if (badAttrs(t, name) !== null) return badAttrs(t, name);
      if (!exists(t, second)) return floor > 0 ? `${second} is missing, step ${floor} is sure` : null;
      if (begun === 0) return `${second} is there before it was made`;
      const other = readFile(t, second);
      return other.equals(seen) ? badAttrs(t, second) : `${second} has ${brief(other)}, the other name ${brief(seen)}`;
    },
  };
};

/** A directory of the lower gets other names: beside, and in another directory. */
const renameDir: Make = (name, r) => {
  const data = text(name, r.pick(sizes));
  const places = [`${name}/d`, `${name}/e`, `${name}/box/f`, `${name}/g`];
  const steps = places.slice(1, 2 + r.below(3)).map((to, i): Step => {
    const durable = r.below(2) === 0;
    return {
      durable,
      act(t) {
        ok(t.rename(places[i], to));
        if (!durable) return;
        flushing(t, to.slice(0, to.lastIndexOf('/')));
        flushing(t, name);
      },
    };
  });
  return {
    name,
    lower: {
      [name]: dir({ d: dir({ a: file(data, attrs), sub: dir({ b: file('b'), c: symlink('b') }) }, attrs), box: dir() }),
    },
    steps,
    judge(t, floor, begun) {
      const where = places.filter((place) => exists(t, place));
      if (where.length !== 1) return `the directory of ${name} is at ${where.join(' and ') || 'no place'}`;
      const [at] = where;
      const seen = readFile(t, `${at}/a`);
      if (!seen.equals(data)) return `${at}/a has ${brief(seen)}`;
      const inside = [...names(t, at), ...names(t, `${at}/sub`)].join(' ');
      if (inside !== 'a sub b c') return `${at} has ${inside}`;
      return (
        badAttrs(t, at) ??
        anyOf(
          floor,
          begun,
          (state) => places[state] === at,
          () => `the directory of ${name} is at ${at}`,
        )
      );
    },
  };
};

/** A directory of the lower is emptied, removed and made again: nothing of it may come back. */
const opaque: Make = (name, r) => {
  const at = `${name}/d`;
  const states = ['a b', 'b', '', 'none', 'new:', 'new:n'];
  const durable = states.map(() => r.below(3) === 0);
  const acts: ((t: Door) => void)[] = [
    (t) => ok(t.unlink(`${at}/a`)),
    (t) => ok(t.unlink(`${at}/b`)),
    (t) => ok(t.rmdir(at)),
    (t) => ok(t.mkdir(at, 0o701)),
    (t) => writing(`${at}/n`, c.O_CREAT | c.O_EXCL, text(name, 5000), false)(t),
  ];
  return {
    name,
    lower: { [name]: dir({ d: dir({ a: file('a'), b: file('b') }, { mode: 0o755 }) }) },
    steps: acts.map((act, i) => ({
      durable: durable[i],
      act(t) {
        act(t);
        if (!durable[i]) return;
        if (exists(t, at)) flushing(t, at);
        flushing(t, name);
      },
    })),
    judge(t, floor, begun) {
      const st = t.lstat(at);
      if (typeof st === 'number' && st !== -ENOENT) return `${at}: ${errnoName(st)}`;
      let seen = 'none';
      if (typeof st !== 'number') seen = ((st.mode & 0o7777) === 0o701 ? 'new:' : '') + names(t, at).join(' ');
      return anyOf(
        floor,
        begun,
        (state) => states[state] === seen,
        () => `${at} has '${seen}'`,
      );
    },
  };
};

/** A mode, then data, then a mode: where metadata is copied up alone the data has to follow. */
const complete: Make = (name, r) => {
  const start = text(name, r.pick(sizes));
  const more = text(`${name}+`, 1 + r.below(9000));
  const modes = [attrs.mode!, 0o600, 0o600, 0o4711];
  const durable = modes.map(() => r.below(2) === 0);
  const acts: ((t: Door) => void)[] = [
    (t) => ok(t.chmod(name, modes[1])),
    (t) => writing(name, c.O_APPEND, more, false)(t),
    (t) => ok(t.chmod(name, modes[3])),
  ];
  return {
    name,
    lower: { [name]: file(start, attrs) },
    steps: acts.map((act, i) => ({
      durable: durable[i],
      act(t) {
        act(t);
        if (durable[i]) flushing(t, name);
      },
    })),
    judge(t, floor, begun) {
      const seen = readFile(t, name);
      const written = begun >= 2 ? Buffer.concat([start, more]) : start;
      const sure = floor >= 2 ? written.length : start.length;
      if (!isBegun(seen, written, sure)) return `${name} has ${brief(seen)}; ${sure} bytes are sure`;
      return anyOf(
        floor,
        begun,
        (state) => badAttrs(t, name, modes[state]) === null,
        () => `${badAttrs(t, name)}`,
      );
    },
  };
};

/** Two names of one lower file, and data through one of them. */
const twins: Make = (name, r, index) => {
  const start = text(name, r.pick(sizes));
  const second = `${name}.twin`;
  const states = [start];
  const steps: Step[] = [];
  for (let i = 1 + r.below(3); i > 0; i--) {
    const data = text(`${name}+${i}`, 1 + r.below(9000));
    const durable = r.below(2) === 0;
    states.push(Buffer.concat([states[states.length - 1], data]));
    steps.push({ durable, act: writing(name, c.O_APPEND, data, durable) });
  }
  return {
    name,
    lower: { [name]: file(start, attrs), [second]: hardlink(name) },
    steps,
    judge(t, floor, begun) {
      const seen = readFile(t, name);
      const sure = states[floor].length;
      if (!isBegun(seen, states[begun], sure)) return `${name} has ${brief(seen)}; ${sure} bytes are sure`;
      const other = readFile(t, second);
      if (!other.equals(index ? seen : start)) return `${second} has ${brief(other)}, the other name ${brief(seen)}`;
      return badAttrs(t, name) ?? badAttrs(t, second);
    },
  };
};

/** A symlink changes its owner, which copies it up. */
const lchown: Make = (name, r) => {
  const durable = r.below(2) === 0;
  return {
    name,
    lower: { [name]: symlink('nowhere/at all', { uid: 1, gid: 1 }) },
    steps: [
      {
        durable,
        act(t) {
          ok(t.lchown(name, 77, 77));
          if (durable) flushing(t, '.');
        },
      },
    ],
    judge(t, floor, begun) {
      const st = t.lstat(name);
      if (typeof st === 'number') return `${name}: ${errnoName(st)}`;
      if (t.readlink(name) !== 'nowhere/at all') return `${name} leads elsewhere`;
      return anyOf(
        floor,
        begun,
        (state) => st.uid === [1, 77][state],
        () => `${name} is owned by ${st.uid}`,
      );
    },
  };
};

const kinds: Readonly<Record<string, Make>> = {
  append,
  chmod,
  xattr,
  rewrite,
  replace,
  remove,
  link,
  renameDir,
  opaque,
  complete,
  twins,
  lchown,
};

/** `count` subjects, with appends (the load that tears most) every third time. */
export function subjects(count: number, r: Random, index: boolean): Subject[] {
  const all = Object.entries(kinds);
  return Array.from({ length: count }, (_, i) => {
    const [kind, make] = i % 3 === 0 ? (['append', append] as const) : r.pick(all);
    return make(`${kind}-${i}`, r, index);
  });
}

/** The steps of all subjects, mixed: those of one subject stay in their order. */
export function schedule(all: readonly Subject[], r: Random): Subject[] {
  const bag = all.flatMap((subject) => subject.steps.map(() => subject));
  for (let i = bag.length - 1; i > 0; i--) {
    const j = r.below(i + 1);
    [bag[i], bag[j]] = [bag[j], bag[i]];
  }
  return bag;
}
