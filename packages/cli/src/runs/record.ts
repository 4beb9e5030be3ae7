/**
 * What is kept of a run: `ROOT/runs/ID/` with `run.json`, the writable layer `upper/` and its
 * `work/`. A name is a symlink `ROOT/names/NAME` to the id, so that taking a name is one call that
 * fails when it is taken. Records are written in one step (temp file, rename).
 */
import { randomBytes } from 'node:crypto';
import { show } from 'stratafs/internal/mount/paths';
import { listDir, readFile } from 'stratafs/internal/mount/read-file';
import { startTime } from 'stratafs/internal/serve/state';
import { type ByteString, toText } from 'stratafs/internal/sys/bytes';
import { AT_FDCWD, AT_REMOVEDIR, F_OK, O_CREAT, O_TRUNC, O_WRONLY } from 'stratafs/internal/sys/constants';
import { EEXIST, ENOENT, errnoName } from 'stratafs/internal/sys/errno';
import type { Sys } from 'stratafs/internal/sys/sys';
import { CliError } from '../cli-error.ts';
import { makeDirectory } from '../root.ts';
import { removeTree } from './remove-tree.ts';

/** All paths are byte strings, which JSON carries unharmed. */
export interface RunRecord {
  version: 1;
  id: string;
  name: string | null;
  /** What stands under the view: without symlinks. */
  directory: ByteString;
  /** The lowers of the view, topmost first; the directory is the first. */
  lowers: ByteString[];
  command: ByteString[];
  /** Milliseconds since 1970. */
  created: number;
  finished: number | null;
  exitCode: number | null;
  /** The process that holds the run, and when that began (clock ticks since boot). */
  pid: number;
  startTime: number;
  backend: 'kernel' | 'fuse' | null;
  /** The overlay's own attributes are `user.overlay.*`. */
  userxattr: boolean;
  /** Mount points below the directory, which are the host's own in the view. */
  mounts: ByteString[];
}

/** The store root of runs: where everything lies. */
export class RunStore {
  readonly root: ByteString;
  readonly #sys: Sys;

  constructor(sys: Sys, root: ByteString) {
    this.#sys = sys;
    this.root = root;
  }

  path(id: string, file = ''): ByteString {
    return `${this.root}/runs/${id}${file === '' ? '' : `/${file}`}`;
  }

  /** Makes the folders of a new run, and takes its name. @throws CliError; then nothing is left behind. */
  create(name: string | null): string {
    const sys = this.#sys;
    for (const dir of ['', '/runs', '/names']) makeDirectory(sys, this.root + dir);
    const id = randomBytes(6).toString('hex');
    makeDirectory(sys, this.path(id));
    if (name === null) return id;
    const err = this.#takeName(name, id);
    if (err >= 0) return id;
    sys.unlinkat(AT_FDCWD, this.path(id), AT_REMOVEDIR);
    if (err !== -EEXIST) {
      throw new CliError(125, `the name '${name}' cannot be kept in ${show(this.root)}: ${errnoName(err)}`);
    }
    throw new CliError(125, `the name '${name}' is taken by another run: 'strata rm ${name}' frees it`);
  }

  /** A name whose run is gone is free again. */
  #takeName(name: string, id: string): number {
    const sys = this.#sys;
    if (this.read(name) !== null) return -EEXIST;
    const link = `${this.root}/names/${name}`;
    const err = sys.symlinkat(`../runs/${id}`, AT_FDCWD, link);
    if (err !== -EEXIST || sys.faccessat(AT_FDCWD, link, F_OK, 0) !== -ENOENT) return err;
    sys.unlinkat(AT_FDCWD, link, 0);
    return sys.symlinkat(`../runs/${id}`, AT_FDCWD, link);
  }

  /** @throws CliError. */
  write(record: RunRecord): void {
    writeRecord(this.#sys, AT_FDCWD, this.path(record.id), record);
  }

  /** The record of one id; null where it is none of ours. */
  read(id: string): RunRecord | null {
    const text = readFile(this.#sys, this.path(id, 'run.json'));
    if (typeof text === 'number') return null;
    try {
      const record = JSON.parse(toText(text)) as Partial<RunRecord> | null;
      return record?.version === 1 && record.id === id ? (record as RunRecord) : null;
    } catch {
      return null;
    }
  }

  /** Every run, oldest first. */
  list(): RunRecord[] {
    const entries = listDir(this.#sys, AT_FDCWD, `${this.root}/runs`);
    if (typeof entries === 'number') return [];
    return entries
      .map((entry) => this.read(entry.name))
      .filter((record) => record !== null)
      .sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1));
  }

  /** By name, id, or the beginning of an id that only one run has. @throws CliError. */
  find(wanted: ByteString): RunRecord {
    const all = this.list();
    const exact = all.find((record) => record.name === wanted) ?? all.find((record) => record.id === wanted);
    if (exact !== undefined) return exact;
    const near = wanted.length === 0 ? [] : all.filter((record) => record.id.startsWith(wanted));
    if (near.length === 1) return near[0];
    const text = toText(wanted);
    if (near.length > 1) throw new CliError(1, `'${text}' is the beginning of ${near.length} ids: give more of it`);
    throw new CliError(1, `there is no run '${text}' in ${show(this.root)}: 'strata ps -a' lists the runs`);
  }

  /** Removes a run with its writable layer. @throws CliError. */
  remove(record: Pick<RunRecord, 'id' | 'name'>): void {
    const sys = this.#sys;
    if (record.name !== null) sys.unlinkat(AT_FDCWD, `${this.root}/names/${record.name}`, 0);
    const dir = this.path(record.id);
    // The record goes last: what is left by a crash is still a run that can be removed.
    // The mount point of a view of /: were one still mounted on it, this would fail, and should.
    const point = sys.unlinkat(AT_FDCWD, `${dir}/root`, AT_REMOVEDIR);
    if (point < 0 && point !== -ENOENT) {
      throw new CliError(1, `${show(`${dir}/root`)} cannot be removed: ${errnoName(point)}`);
    }
    for (const name of ['upper', 'work']) {
      const failed = removeTree(sys, AT_FDCWD, `${dir}/${name}`);
      if (failed === null || failed.errno === -ENOENT) continue;
      throw new CliError(1, `${show(failed.path)} cannot be removed: ${errnoName(failed.errno)}`);
    }
    sys.unlinkat(AT_FDCWD, `${dir}/run.json`, 0);
    sys.unlinkat(AT_FDCWD, dir, AT_REMOVEDIR);
  }
}

/** Writes `run.json` in the folder `path` below `dirfd`. @throws CliError. */
export function writeRecord(sys: Sys, dirfd: number, path: ByteString, record: RunRecord): void {
  const temp = `${path}/run.json.${process.pid}`;
  const bytes = Buffer.from(`${JSON.stringify(record, null, 2)}\n`);
  const fd = sys.openat(dirfd, temp, O_WRONLY | O_CREAT | O_TRUNC, 0o600);
  let err = fd < 0 ? fd : sys.write(fd, bytes, 0, bytes.length);
  if (err >= 0) err = sys.fsync(fd);
  if (fd >= 0) sys.close(fd);
  if (err >= 0) err = sys.renameat2(dirfd, temp, dirfd, `${path}/run.json`, 0);
  if (err < 0) throw new CliError(125, `the record in ${show(path)} cannot be written: ${errnoName(err)}`);
}

/** Whether the process that holds the run is there. */
export function isRunning(record: RunRecord): boolean {
  return record.finished === null && record.pid > 0 && startTime(record.pid) === record.startTime;
}

/** docker's rule for names. */
export function isValidName(name: string): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/.test(name);
}
