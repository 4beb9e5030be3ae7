/**
 * Makes a case small: whatever can go without the mismatch going too, goes; operations first, in
 * chunks that get smaller (ddmin), then what lies in the lowers.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import type { Sys } from 'stratafs/internal/sys/sys';
import { type Case, type Found, replay } from './case.ts';
import { listNames } from './directories.ts';
import type { Match } from './match.ts';

/** Of `items` as few as `holds` needs, in their order, by the time limit. */
async function fewest<T>(
  items: readonly T[],
  until: number,
  holds: (some: readonly T[]) => Promise<boolean>,
): Promise<readonly T[]> {
  let kept = items;
  for (let size = Math.ceil(kept.length / 2); kept.length > 0 && Date.now() < until; ) {
    let dropped = false;
    for (let at = kept.length; at > 0 && Date.now() < until; ) {
      at = Math.max(0, at - size);
      const rest = [...kept.slice(0, at), ...kept.slice(at + size)];
      if (rest.length < kept.length && (await holds(rest))) {
        kept = rest;
        dropped = true;
      }
    }
    if (size === 1 && !dropped) {
      break;
    }
    size = Math.max(1, Math.floor(size / 2));
  }
  return kept;
}

export interface Shrunk {
  readonly small: Case;
  readonly found: Found;
}

/** @returns the smallest case found until `until` (ms), or null when the case does not fail again. */
export async function shrink(sys: Sys, match: Match, whole: Case, until: number): Promise<Shrunk | null> {
  const first = await replay(match, whole);
  if (first === null) {
    return null;
  }
  let found = first;
  let small = { ...whole, ops: whole.ops.slice(0, found.steps) };
  const attempt = async (tried: Case): Promise<boolean> => {
    const result = await replay(match, tried);
    // Another mismatch would be another bug.
    if (result === null || !alike(first, whole, result, tried)) {
      return false;
    }
    // What comes after it plays no part.
    small = { ...tried, ops: tried.ops.slice(0, result.steps) };
    found = result;
    return true;
  };
  const last = small.ops.at(-1);
  if (last !== undefined) {
    await fewest(small.ops.slice(0, -1), until, (ops) => attempt({ ...small, ops: [...ops, last] }));
  }
  await replay(match, small);
  const cuts = lowerPaths(sys, match.pair.lowers);
  await fewest(cuts, until, (kept) => attempt({ ...small, cuts: cuts.filter((cut) => !kept.includes(cut)) }));
  // The layers lie as the smallest case has them, for script.ts.
  await replay(match, small);
  return { small, found };
}

function alike(a: Found, ofA: Case, b: Found, ofB: Case): boolean {
  return a.mismatch.what === b.mismatch.what && ofA.ops[a.steps - 1]?.kind === ofB.ops[b.steps - 1]?.kind;
}

/** Everything in the lowers, as cuts. */
function lowerPaths(sys: Sys, lowers: readonly ByteString[]): ByteString[] {
  const all: ByteString[] = [];
  const walk = (dirfd: number, path: ByteString): void => {
    for (const name of listNames(sys, dirfd)) {
      all.push(`${path}/${name}`);
      const fd = sys.openat(dirfd, name, c.O_RDONLY | c.O_DIRECTORY | c.O_NOFOLLOW | c.O_NOATIME, 0);
      if (fd >= 0) {
        walk(fd, `${path}/${name}`);
        sys.close(fd);
      }
    }
  };
  for (const [i, lower] of lowers.entries()) {
    const fd = sys.openat(c.AT_FDCWD, lower, c.O_RDONLY | c.O_DIRECTORY | c.O_NOATIME, 0);
    walk(fd, String(i));
    sys.close(fd);
  }
  return all;
}
