// What a system call costs through sys/ and a layer operation on top of it: ns per call, the best of
// five rounds, warm cache. Runs the built code (npx tsc -b): node bench/sys.mjs [DIRECTORY] [--json]
import { closeSync, lstatSync, mkdtempSync, openSync, readdirSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DescriptorCache } from 'stratafs/internal/layer/descriptor-cache';
import { DiskLayer } from 'stratafs/internal/layer/disk-layer';
import { Dentry } from 'stratafs/internal/layer/layer';
import * as c from 'stratafs/internal/sys/constants';
import { Stat } from 'stratafs/internal/sys/stat';
import { openSys } from 'stratafs/internal/sys/sys-koffi';

const json = process.argv.includes('--json');
const parent = process.argv.slice(2).find((arg) => !arg.startsWith('-')) ?? tmpdir();
const dir = mkdtempSync(path.join(parent, 'stratafs-bench-'));
const results = {};

/** `fn` is called `rounds` × `count` times; `per` is how many calls one `fn` stands for. */
function measure(name, fn, count = 50_000, per = 1) {
  for (let i = 0; i < count / 10; i++) fn();
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < count; i++) fn();
    best = Math.min(best, Number(process.hrtime.bigint() - start) / count / per);
  }
  results[name] = Math.round(best);
  if (!json) console.log(`${name.padEnd(44)} ${String(results[name]).padStart(8)} ns`);
}

try {
  const sys = openSys();
  const stat = new Stat();
  const buf = Buffer.alloc(128 * 1024);
  writeFileSync(path.join(dir, 'file'), buf);
  sys.mkdirat(c.AT_FDCWD, path.join(dir, 'd'), 0o755);
  for (let i = 0; i < 500; i++) writeFileSync(path.join(dir, 'd', `entry-${i}`), '');
  const dirfd = sys.openat(c.AT_FDCWD, dir, c.O_PATH | c.O_DIRECTORY, 0);
  const file = sys.openat(dirfd, 'file', c.O_RDWR, 0);
  const opath = sys.openat(dirfd, 'file', c.O_PATH, 0);
  const event = sys.eventfd(1, 0);
  const small = Buffer.alloc(256);
  sys.setxattrat(dirfd, 'file', 'user.bench', Buffer.from('value'), 0);

  measure('geteuid (the bare call)', () => sys.geteuid());
  measure('statx, found', () => sys.statx(dirfd, 'file', c.AT_SYMLINK_NOFOLLOW, stat));
  measure('statx, ENOENT', () => sys.statx(dirfd, 'missing', c.AT_SYMLINK_NOFOLLOW, stat));
  measure('fstat', () => sys.fstat(file, stat));
  measure('openat + close', () => sys.close(sys.openat(dirfd, 'file', c.O_RDONLY, 0)));
  measure('pread 4 KiB', () => sys.pread(file, buf, 0, 4096, 0));
  measure('pread 4 KiB at an offset in the buffer', () => sys.pread(file, buf, 4096, 4096, 0));
  measure('pread 128 KiB', () => sys.pread(file, buf, 0, 128 * 1024, 0), 10_000);
  measure('pwrite 4 KiB', () => sys.pwrite(file, buf, 0, 4096, 0), 20_000);
  measure('getxattrat, found', () => sys.getxattrat(dirfd, 'file', 'user.bench', small));
  measure('getxattrat, ENODATA', () => sys.getxattrat(dirfd, 'file', 'user.none', small));
  measure('getxattrat of an O_PATH descriptor', () => sys.getxattrat(opath, '', 'user.bench', small), 20_000);
  measure('fgetxattr', () => sys.fgetxattr(file, 'user.bench', small));
  measure('utimensat', () => sys.utimensat(dirfd, 'file', 1, 2, 3, 4, 0), 10_000);
  measure('poll, one ready', () => sys.poll([{ fd: event, events: c.POLLIN, revents: 0 }], 0));
  measure('flock + unlock', () => {
    sys.flock(file, c.LOCK_SH);
    sys.flock(file, c.LOCK_UN);
  });

  const cache = new DescriptorCache(sys, 1024);
  const layer = DiskLayer.open(sys, cache, { path: dir, label: 'bench', writable: true });
  const d = new Dentry(layer, layer.root, 'd');
  const entry = new Dentry(layer, d, 'entry-7');
  measure('layer.lookup, found', () => layer.lookup(d, 'entry-7', stat));
  measure('layer.lookup, ENOENT', () => layer.lookup(d, 'missing', stat));
  measure('layer.getxattr of a directory, ENODATA', () => layer.getxattr(d, 'user.overlay.opaque'));
  measure('layer.open + close', () => layer.close(layer.open(entry, c.O_RDONLY)));
  measure('layer.readdir, 500 entries, per entry', () => layer.readdir(d, []), 300, 500);
  layer.destroy();

  const full = path.join(dir, 'file');
  const fd = openSync(full, 'r');
  measure('node: lstatSync', () => lstatSync(full));
  measure('node: openSync + closeSync', () => closeSync(openSync(full, 'r')));
  measure('node: readSync 4 KiB', () => readSync(fd, buf, 0, 4096, 0));
  measure(
    'node: readdirSync with types, per entry',
    () => readdirSync(path.join(dir, 'd'), { withFileTypes: true }),
    300,
    500,
  );
  closeSync(fd);
  if (json) console.log(JSON.stringify(results));
} finally {
  rmSync(dir, { recursive: true });
}
