/**
 * One process of the stress load: five workers that run at once (each call waits on a thread of
 * its own, UV_THREADPOOL_SIZE is 5) on a tree that all processes share. Started by stress.ts with
 * its task as JSON in the first argument; prints what it did as JSON.
 *
 * Names say what may be done to an object, so that the end can be checked:
 *   f*  written whole, 4096 equal bytes; renamed, removed, replaced by anybody
 *   h*  made by workers only, and hard-linked (a lower file would lose its other names by copy-up)
 *   s*  symlinks; nobody follows them
 *   d*  directories: made, removed, renamed across each other
 *   t*  treasures: one owner each, who only renames them; nobody removes or replaces them
 *   log-*  in the root: appended to, record by record, and never anything else
 */
import { constants, promises as fs } from 'node:fs';
import { random } from './random.ts';

export interface LoadTask {
  root: string;
  seed: number;
  seconds: number;
  /** 0, 1, …: part of the names of treasures and of records. */
  process: number;
  workers: number;
}

export interface LoadReport {
  operations: number;
  succeeded: Record<string, number>;
  /** How often each operation failed, by `operation ERRNO`. */
  failed: Record<string, number>;
  /** Records appended to each log. */
  appended: Record<string, number>;
}

/** The errnos that the kernel's overlay can give to each operation when others change the same tree. */
export const allowed: Readonly<Record<string, readonly string[]>> = {
  create: ['EEXIST', 'ENOENT', 'ENOTDIR'],
  write: ['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP'],
  read: ['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP'],
  unlink: ['ENOENT', 'ENOTDIR', 'EISDIR'],
  mkdir: ['EEXIST', 'ENOENT', 'ENOTDIR'],
  rmdir: ['ENOENT', 'ENOTDIR', 'ENOTEMPTY'],
  rename: ['ENOENT', 'ENOTDIR', 'EISDIR'],
  'rename-dir': ['ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EINVAL'],
  link: ['EEXIST', 'ENOENT', 'ENOTDIR', 'EPERM'],
  symlink: ['EEXIST', 'ENOENT', 'ENOTDIR'],
  readlink: ['ENOENT', 'ENOTDIR', 'EINVAL'],
  readdir: ['ENOENT', 'ENOTDIR'],
  stat: ['ENOENT', 'ENOTDIR'],
  chmod: ['ENOENT', 'ENOTDIR'],
  truncate: ['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP'],
  treasure: ['ENOENT', 'ENOTDIR'],
  append: [],
};

export const DIRS = 8;
export const FILES = 12;
export const LOGS = 4;
export const TREASURES = 4;
export const RECORD = 64;
export const BLOCK = 4096;

export function treasureName(process: number, worker: number, i: number): string {
  return `t-${process}-${worker}-${i}`;
}

export function recordOf(process: number, worker: number, i: number): string {
  return `${`${process}.${worker}.${i}`.padEnd(RECORD - 1, '.')}\n`;
}

/** Runs the load. @returns what happened, unexpected errnos included. */
async function runLoad(task: LoadTask): Promise<LoadReport> {
  const report: LoadReport = { operations: 0, succeeded: {}, failed: {}, appended: {} };
  const until = Date.now() + task.seconds * 1000;
  await Promise.all(Array.from({ length: task.workers }, (_, worker) => work(task, worker, until, report)));
  return report;
}

async function work(task: LoadTask, worker: number, until: number, report: LoadReport): Promise<void> {
  const { root } = task;
  const rnd = random(task.seed * 1_000_003 + task.process * 101 + worker);
  const dirName = (): string => `d${rnd.below(DIRS)}`;
  /** The root, or a directory one to three levels down. */
  const dirPath = (): string => [root, ...Array.from({ length: rnd.below(4) }, dirName)].join('/');
  const deepDir = (): string => `${dirPath()}/${dirName()}`;
  const filePath = (kind: string): string => `${dirPath()}/${kind}${rnd.below(FILES)}`;
  let appended = 0;
  const treasures = Array.from({ length: TREASURES }, (_, i) => ({
    name: treasureName(task.process, worker, i),
    at: root,
  }));

  const whole = (): Buffer => Buffer.alloc(BLOCK, 97 + rnd.below(26));
  const withFile = async (
    path: string,
    flags: number,
    act: (file: fs.FileHandle) => Promise<unknown>,
  ): Promise<void> => {
    const file = await fs.open(path, flags | constants.O_NOFOLLOW, 0o644);
    try {
      await act(file);
    } finally {
      await file.close();
    }
  };
  const { O_CREAT, O_EXCL, O_RDONLY, O_TRUNC, O_WRONLY } = constants;

  const operations: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['create', () => withFile(filePath('f'), O_CREAT | O_EXCL | O_WRONLY, (file) => file.write(whole(), 0, BLOCK, 0))],
    ['create', () => withFile(filePath('h'), O_CREAT | O_EXCL | O_WRONLY, (file) => file.write(whole(), 0, BLOCK, 0))],
    ['write', () => withFile(filePath('f'), O_WRONLY, (file) => file.write(whole(), 0, BLOCK, 0))],
    ['write', () => withFile(filePath('f'), O_WRONLY | O_TRUNC, (file) => file.write(whole(), 0, BLOCK, 0))],
    ['read', () => withFile(filePath('f'), O_RDONLY, (file) => readWhole(file))],
    ['read', () => withFile(filePath('f'), O_RDONLY, (file) => readWhole(file))],
    ['unlink', () => fs.unlink(filePath(rnd.pick(['f', 'h', 's'])))],
    ['mkdir', () => fs.mkdir(deepDir())],
    ['mkdir', () => fs.mkdir(deepDir())],
    ['rmdir', () => fs.rmdir(deepDir())],
    ['rename', () => fs.rename(filePath('f'), filePath('f'))],
    ['rename', () => fs.rename(filePath('h'), filePath('h'))],
    ['rename-dir', () => fs.rename(deepDir(), deepDir())],
    ['link', () => fs.link(filePath('h'), filePath('h'))],
    ['symlink', () => fs.symlink(`to-${rnd.below(100)}`, filePath('s'))],
    ['readlink', () => fs.readlink(filePath('s'))],
    ['readdir', () => listed(dirPath())],
    ['stat', () => fs.lstat(filePath(rnd.pick(['f', 'h', 's', 'd'])))],
    ['chmod', () => fs.chmod(filePath(rnd.pick(['f', 'h'])), 0o600 | rnd.below(0o200))],
    ['truncate', () => withFile(filePath('f'), O_WRONLY, (file) => file.truncate(0))],
    [
      'append',
      async () => {
        const log = `log-${rnd.below(LOGS)}`;
        const record = recordOf(task.process, worker, appended++);
        await fs.appendFile(`${root}/${log}`, record);
        report.appended[log] = (report.appended[log] ?? 0) + 1;
      },
    ],
    [
      'treasure',
      async () => {
        const treasure = rnd.pick(treasures);
        const to = dirPath();
        await fs.rename(`${treasure.at}/${treasure.name}`, `${to}/${treasure.name}`);
        treasure.at = to;
      },
    ],
  ];

  while (Date.now() < until) {
    const [name, run] = rnd.pick(operations);
    report.operations++;
    try {
      await run();
      report.succeeded[name] = (report.succeeded[name] ?? 0) + 1;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? String(error);
      const key = `${name} ${code}`;
      report.failed[key] = (report.failed[key] ?? 0) + 1;
    }
  }
}

/** A file that is written whole reads as nothing, or as 4096 equal bytes. */
async function readWhole(file: fs.FileHandle): Promise<void> {
  const buf = Buffer.alloc(BLOCK + 1);
  const { bytesRead } = await file.read(buf, 0, BLOCK + 1, 0);
  if ((bytesRead !== 0 && bytesRead !== BLOCK) || buf.subarray(0, bytesRead).some((byte) => byte !== buf[0])) {
    throw new Error(`torn: ${bytesRead} bytes`);
  }
}

async function listed(path: string): Promise<void> {
  const names = await fs.readdir(path);
  if (new Set(names).size !== names.length) {
    throw new Error('a name is listed twice');
  }
}

if (process.argv[2]?.startsWith('{')) {
  process.stdout.write(JSON.stringify(await runLoad(JSON.parse(process.argv[2]) as LoadTask)));
}
