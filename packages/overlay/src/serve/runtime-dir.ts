/**
 * Where the records of live mounts lie: /run/strata/mounts for root, else
 * $XDG_RUNTIME_DIR/strata/mounts, else a directory of the user's own below the temporary
 * directory. A record tells commands which process to talk to, so a directory counts only when
 * nobody else could have written to it.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

function uid(): number {
  return process.geteuid?.() ?? -1;
}

/**
 * This user's id as seen from outside of his user namespace, so that in and out of it he finds the
 * same records, and two users who are root in theirs find their own.
 */
function outerUid(): number {
  let map: string;
  try {
    map = fs.readFileSync('/proc/self/uid_map', 'latin1');
  } catch {
    return uid();
  }
  for (const line of map.split('\n')) {
    const [inside, outside, count] = line.trim().split(/\s+/).map(Number);
    if (uid() >= inside && uid() < inside + count) return outside + uid() - inside;
  }
  return uid();
}

/** Where there is no runtime directory of the user's. */
function lastResort(): string {
  return path.join(os.tmpdir(), `strata-${outerUid()}`);
}

/** The places in order of preference, existing or not. */
function candidates(): string[] {
  const places: string[] = [];
  if (uid() === 0) places.push('/run/strata/mounts');
  const xdg = process.env.XDG_RUNTIME_DIR;
  if (xdg?.startsWith('/')) places.push(path.join(xdg, 'strata', 'mounts'));
  places.push(path.join(lastResort(), 'mounts'));
  return places;
}

/** A directory of this user that nobody else may write to, and its parent the same. */
function isOwn(dir: string): boolean {
  return [dir, path.dirname(dir)].every((place) => {
    const stat = lstat(place);
    return stat?.isDirectory() && stat.uid === uid() && (stat.mode & 0o022) === 0;
  });
}

function lstat(place: string): fs.Stats | undefined {
  try {
    return fs.lstatSync(place);
  } catch {
    // Missing, or in somebody else's directory: /run/strata is closed to all but root.
    return undefined;
  }
}

/** Every trustworthy directory with records. */
export function runtimeDirs(): string[] {
  return candidates().filter(isOwn);
}

/**
 * The directory for new records, made where it is missing.
 * @throws Error when no place can be made or trusted.
 */
export function makeRuntimeDir(): string {
  const reasons: string[] = [];
  for (const dir of candidates()) {
    try {
      fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
    } catch (error) {
      // In a user namespace root is not the owner of /run.
      reasons.push(`${dir}: ${(error as NodeJS.ErrnoException).code}`);
      continue;
    }
    if (isOwn(dir)) return dir;
    reasons.push(`${dir}: somebody else may write to it`);
  }
  throw new Error(`there is no place for the record of a mount (${reasons.join('; ')})`);
}

/** A record in `dir` has gone: one below the temporary directory goes with the last. Never fails. */
export function leaveRuntimeDir(dir: string): void {
  if (path.dirname(dir) !== lastResort()) return;
  try {
    fs.rmdirSync(dir);
    fs.rmdirSync(path.dirname(dir));
  } catch {
    // Others are in it.
  }
}
