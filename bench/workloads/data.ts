/** Rows that move data of one big file, and of logs. */
import { O_APPEND, O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from 'stratafs/internal/sys/constants';
import { type Case, Declined, expect } from '../case.ts';
import { openFile, pokeAll, readAll, sys, transfer } from '../client.ts';
import { readMapped } from '../mapped.ts';
import { makeBig } from '../trees.ts';

const MIB = 2 ** 20;
const SEQUENTIAL = 128 * 1024;
const RANDOM = 4096;

function bigFile(c: Case): string {
  return c.template('big', (at) => makeBig(`${at}/big`, c.sizes.data));
}

function withFile(path: string, flags: number, work: (fd: number) => void): void {
  const fd = openFile(path, flags);
  work(fd);
  sys.close(fd);
}

export async function seqRead(c: Case): Promise<void> {
  const lower = bigFile(c);
  const all = (m: string): void =>
    withFile(`${m}/big`, O_RDONLY, (fd) => transfer(fd, 'read', c.sizes.data * MIB, SEQUENTIAL, null));
  await c.mounted([lower], 'cold', (m) => c.measure('seq-read-cold', () => all(m)));
  readAll([`${lower}/big`]);
  await c.mounted([lower], null, (m) => {
    c.measure('seq-read-fresh', () => all(m));
    c.measure('seq-read-warm', () => all(m));
  });
}

export async function randRead(c: Case): Promise<void> {
  const lower = bigFile(c);
  const size = c.sizes.data * MIB;
  readAll([`${lower}/big`]);
  await c.mounted([lower], null, (m) =>
    withFile(`${m}/big`, O_RDONLY, (fd) =>
      c.measure('rand-read-4k', () => transfer(fd, 'read', size / 4, RANDOM, size)),
    ),
  );
  await c.mounted([lower], null, (m) =>
    withFile(`${m}/big`, O_RDONLY, (fd) => c.measure('rand-read-mmap', () => readMapped(fd, size, size / 4))),
  );
}

export async function write(c: Case): Promise<void> {
  const size = Math.max(1, Math.floor(c.sizes.data / 2)) * MIB;
  await c.mounted([c.lower()], null, (m) =>
    withFile(`${m}/new`, O_RDWR | O_CREAT, (fd) => {
      c.measure('seq-write-128k', () => transfer(fd, 'write', size, SEQUENTIAL, null));
      sys.fsync(fd);
      c.measure('rand-write-4k', () => transfer(fd, 'write', size / 4, RANDOM, size));
    }),
  );
}

export async function append(c: Case): Promise<void> {
  const record = Buffer.alloc(100, 'x');
  await c.mounted([c.lower()], null, (m) =>
    withFile(`${m}/log`, O_WRONLY | O_CREAT | O_APPEND, (fd) =>
      c.measure('append-100b', () => {
        for (let i = c.count(50_000); i > 0; i--) sys.write(fd, record, 0, record.length);
      }),
    ),
  );
}

export async function fsync(c: Case): Promise<void> {
  const n = c.count(200);
  const write = (fd: number): void => {
    const block = Buffer.alloc(4096, 'x');
    expect(sys.write(fd, block, 0, block.length) === block.length && sys.fsync(fd) === 0, 'a write with fsync');
  };
  await c.mounted([c.lower()], null, (m) => {
    withFile(`${m}/one`, O_WRONLY | O_CREAT, (fd) =>
      c.measure('fsync-append', () => {
        for (let i = 0; i < n; i++) write(fd);
      }),
    );
    c.measure('fsync-create', () => {
      for (let i = 0; i < n; i++) withFile(`${m}/f${i}`, O_WRONLY | O_CREAT, write);
    });
  });
}

/** Large blocks where no file may be passed through: main.ts runs this in a user namespace. */
export async function rootless(c: Case): Promise<void> {
  const lower = bigFile(c);
  const size = c.sizes.data * MIB;
  readAll([`${lower}/big`]);
  await c.mounted([lower], null, (m) => {
    for (const metric of ['rootless-read-fresh', 'rootless-read-warm']) {
      withFile(`${m}/big`, O_RDONLY, (fd) => c.measure(metric, () => transfer(fd, 'read', size, MIB, null)));
    }
    for (const metric of ['rootless-write-new', 'rootless-write-warm']) {
      withFile(`${m}/new`, O_RDWR | O_CREAT, (fd) => c.measure(metric, () => transfer(fd, 'write', size, MIB, null)));
    }
  });
}

async function copyUp(c: Case, metric: string): Promise<void> {
  if (c.mounter.name === 'native') throw new Declined('there is nothing to copy up');
  const lower = bigFile(c);
  readAll([`${lower}/big`]);
  await c.mounted([lower], null, (m) => c.measure(metric, () => pokeAll([`${m}/big`], 12_345)));
}

/** The first byte that is written to a big lower file. */
export async function copyUpBig(c: Case): Promise<void> {
  await copyUp(c, 'copyup-big');
}

export async function copyUpXfs(c: Case): Promise<void> {
  c.useFilesystem('xfs');
  await copyUp(c, 'copyup-big-xfs');
}

export async function copyUpBtrfs(c: Case): Promise<void> {
  c.useFilesystem('btrfs');
  await copyUp(c, 'copyup-big-btrfs');
}
