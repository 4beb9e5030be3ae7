/**
 * Descriptors that stay open over many operations: what they name is meanwhile renamed, replaced,
 * removed, copied up by somebody else. A slot that is not open is EBADF on both sides.
 */
import * as c from 'stratafs/internal/sys/constants';
import { EFBIG } from 'stratafs/internal/sys/errno';
import type { Chooser } from '../chooser.ts';
import type { Slot } from '../known.ts';
import { look } from '../look.ts';
import type { Operation } from '../operation.ts';
import { at, type Call, calls, callWords, filled, hex, octal, opening, room } from '../shell-words.ts';
import { digest, said, type Turn } from '../turn.ts';
import { groups, modes, owners, times } from '../vocabulary.ts';
import { isWritten } from './attributes.ts';
import type { Kind, Kinds } from './kind.ts';

const sizes: readonly number[] = [1, 10, 500, 4096, 9000];
/** Bytes, by a mapping. */
const STORED = 300;
const offsets: readonly number[] = [0, 0, 1, 4000, 4096, 12_288, 20_000];

const writable = (slot: Slot): boolean => (slot.flags & c.O_ACCMODE) !== c.O_RDONLY && slot.type === 'file';
const readable = (slot: Slot): boolean =>
  (slot.flags & c.O_ACCMODE) !== c.O_WRONLY && (slot.flags & c.O_PATH) === 0 && slot.type === 'file';
/** Made without a name, or read from a file: what can be linked, most of the time. */
const named = (slot: Slot): boolean => slot.type === 'file' && (slot.flags & c.O_PATH) === 0;
const real = (slot: Slot): boolean => (slot.flags & c.O_PATH) === 0;

/** The descriptor of a slot, as a shell script counts them. */
function fd(slot: number): number {
  return slot + 3;
}

function intoSlot(slot: number, ...all: readonly Call[]): string {
  return `slot ${fd(slot)} ${callWords(all)}`;
}

const open: Kind = {
  weight: 5,
  choose: (by) => ({
    ...(by.once(2) ? {} : { user: 0 }),
    slot: by.rnd.below(by.known.slots.length),
    path: by.there('file', 'file', 'file', 'file', 'dir', 'any'),
    flags:
      by.rnd.pick([c.O_RDONLY, c.O_RDONLY, c.O_WRONLY, c.O_RDWR, c.O_RDWR]) |
      by.rnd.pick([0, 0, 0, 0, c.O_APPEND, c.O_PATH, c.O_NOFOLLOW]),
  }),
  run(t, op) {
    t.closeSlot(op.slot);
    const opened = t.sys.openat(t.root, op.path, op.flags | c.O_NONBLOCK, 0);
    t.slots[op.slot] = opened;
    return said(Math.min(0, opened));
  },
  learn(known, op) {
    known.slots[op.slot] = { flags: op.flags, type: known.type(op.path) ?? 'file', path: op.path };
  },
  // The shell's own redirections open with other flags.
  shell: (op) => intoSlot(op.slot, opening(op.path, op.flags)),
};

/** Opened, and its name removed: often before the file has been copied up. */
const orphan: Kind = {
  weight: 2,
  choose: (by) => ({
    ...(by.once(3) ? {} : { user: 0 }),
    slot: by.rnd.below(by.known.slots.length),
    path: by.there('file'),
    flags: c.O_RDONLY,
  }),
  run(t, op) {
    t.closeSlot(op.slot);
    const opened = t.sys.openat(t.root, op.path, op.flags | c.O_NONBLOCK, 0);
    const result = opened < 0 ? opened : t.sys.unlinkat(t.root, op.path, 0);
    t.slots[op.slot] = opened;
    if (result < 0) {
      t.closeSlot(op.slot);
    }
    return said(result);
  },
  learn(known, op) {
    known.slots[op.slot] = { flags: op.flags, type: 'file', path: '' };
    known.remove(op.path);
  },
  shell: (op) => intoSlot(op.slot, opening(op.path, op.flags), ['unlinkat', 'AT_FDCWD', at(op.path), 0]),
};

const openTmpfile: Kind = {
  weight: 2,
  choose: (by) => ({
    slot: by.rnd.below(by.known.slots.length),
    path: by.there('dir'),
    flags: c.O_TMPFILE | c.O_RDWR,
    mode: by.rnd.pick(modes),
  }),
  run(t, op) {
    t.closeSlot(op.slot);
    const opened = t.sys.openat(t.root, op.path, op.flags, op.mode);
    t.slots[op.slot] = opened;
    return said(Math.min(0, opened));
  },
  learn(known, op) {
    known.slots[op.slot] = { flags: c.O_RDWR, type: 'file', path: '' };
  },
  shell: (op) => intoSlot(op.slot, opening(op.path, op.flags, op.mode)),
};

const link: Kind = {
  weight: 3,
  choose: (by) => ({ slot: by.slot(named), to: by.free(), ...(by.once(4) ? {} : { user: 0 }) }),
  run: (t, op) => said(t.sys.linkat(t.slots[op.slot], '', t.root, op.to, c.AT_EMPTY_PATH)),
  learn: (known, op) => known.add(op.to, 'file'),
  shell: (op) => calls(['linkfd', fd(op.slot), at(op.to)]),
};

const close: Kind = {
  weight: 2,
  choose: (by) => ({ slot: by.slot(() => true) }),
  run(t, op) {
    const result = t.slots[op.slot] < 0 ? 'EBADF' : said(t.sys.close(t.slots[op.slot]));
    t.slots[op.slot] = -1;
    return result;
  },
  learn(known, op) {
    known.slots[op.slot] = null;
  },
  shell: (op) => `exec ${fd(op.slot)}<&-`,
};

function onSlot(
  weight: number,
  fits: (slot: Slot) => boolean,
  choose: (by: Chooser) => Partial<Operation>,
  run: (t: Turn, fd: number, op: Operation) => string,
  shell: (op: Operation, fd: number) => Call | readonly Call[],
): Kind {
  return {
    weight,
    choose: (by) => ({ slot: by.slot(fits), ...choose(by) }),
    run: (t, op) => run(t, t.slots[op.slot], op),
    shell(op) {
      const said = shell(op, fd(op.slot));
      return calls(...(typeof said[0] === 'string' ? [said as Call] : (said as readonly Call[])));
    },
  };
}

const range = (by: Chooser): Partial<Operation> => ({ off: by.rnd.pick(offsets), len: by.rnd.pick(sizes) });

const read = onSlot(
  3,
  readable,
  range,
  (t, at, op) => t.read(at, op.off, op.len),
  (op, n) => ['pread64', n, room(op.len), op.len, op.off],
);

const write = onSlot(
  3,
  writable,
  (by) => ({ ...range(by), value: by.rnd.pick(['P', 'Q']) }),
  (t, at, op) => t.write(at, op.value, op.off, op.len),
  (op, n) => ['pwrite64', n, filled(op.value, op.len), op.len, op.off],
);

/** Where the descriptor stands: reads and writes move it. */
const stream = onSlot(
  2,
  writable,
  (by) => ({ len: by.rnd.pick(sizes), value: by.rnd.pick(['R', 'S']) }),
  (t, at, op) => `${t.write(at, op.value, -1, op.len)} ${said(t.sys.lseek(at, 0, c.SEEK_CUR))}`,
  (op, n) => [
    ['write', n, filled(op.value, op.len), op.len],
    ['lseek', n, 0, 'SEEK_CUR'],
  ],
);

const truncate = onSlot(
  2,
  writable,
  (by) => ({ len: by.rnd.pick([0, 1, 4096, 5000, 30_000]) }),
  (t, at, op) => said(t.sys.ftruncate(at, op.len)),
  (op, n) => ['ftruncate', n, op.len],
);

const fallocateModes: readonly number[] = [
  0,
  c.FALLOC_FL_KEEP_SIZE,
  c.FALLOC_FL_PUNCH_HOLE | c.FALLOC_FL_KEEP_SIZE,
  c.FALLOC_FL_PUNCH_HOLE | c.FALLOC_FL_KEEP_SIZE,
  c.FALLOC_FL_ZERO_RANGE,
  c.FALLOC_FL_ZERO_RANGE | c.FALLOC_FL_KEEP_SIZE,
];

const FUSE_MODES: number = c.FALLOC_FL_KEEP_SIZE | c.FALLOC_FL_PUNCH_HOLE | c.FALLOC_FL_ZERO_RANGE;
const foreignModes: readonly number[] = [
  c.FALLOC_FL_COLLAPSE_RANGE,
  c.FALLOC_FL_INSERT_RANGE,
  c.FALLOC_FL_UNSHARE_RANGE,
];
/** No file ends at twice this, and Linux says so (EFBIG) after all other looks, before it asks a filesystem. */
const NOWHERE = 2 ** 62;

/**
 * docs/differences.md, "What Linux answers for a FUSE file itself": Linux looks at descriptor and file as
 * ever and refuses then. What it would say here, the kernel's side is asked of a place that no file has.
 */
function allocate(t: Turn, at: number, op: Operation): string {
  if (!t.kernel || (op.flags & ~FUSE_MODES) === 0) {
    return said(t.sys.fallocate(at, op.flags, op.off, op.len));
  }
  const result = t.sys.fallocate(at, op.flags, NOWHERE, NOWHERE);
  return result === -EFBIG ? 'EOPNOTSUPP' : said(result);
}

const fallocate = onSlot(
  3,
  writable,
  (by) => {
    const flags = by.rnd.pick(by.once(12) ? foreignModes : fallocateModes);
    return { flags, off: by.rnd.pick(offsets), len: by.rnd.pick([1, 4096, 8192]) };
  },
  allocate,
  (op, n) => ['fallocate', n, hex(op.flags), op.off, op.len],
);

const copy: Kind = {
  weight: 3,
  choose: (by) => ({ ...range(by), slot: by.slot(readable), other: by.slot(writable), mode: by.rnd.pick(offsets) }),
  run: (t, op) => said(t.sys.copyFileRange(t.slots[op.slot], op.off, t.slots[op.other], op.mode, op.len)),
  shell: (op) =>
    calls(['copy_file_range', fd(op.slot), `pack:q:${op.off}`, fd(op.other), `pack:q:${op.mode}`, op.len, 0]),
};

const seek = onSlot(
  2,
  readable,
  (by) => ({
    off: by.rnd.pick([0, 0, 100, 4096, 20_000, 50_000]),
    flags: by.rnd.pick([c.SEEK_DATA, c.SEEK_HOLE, c.SEEK_END]),
  }),
  (t, at, op) => {
    // What a directory's positions mean beyond rewinding is its filesystem's.
    const dir = t.sys.fstat(at, t.stat) === 0 && t.stat.type === c.S_IFDIR;
    return said(dir ? t.sys.lseek(at, 0, c.SEEK_SET) : t.sys.lseek(at, op.off, op.flags));
  },
  (op, n) => ['position', n, op.off, op.flags],
);

const sync = onSlot(
  2,
  real,
  (by) => ({ flags: by.rnd.below(3) }),
  (t, at, op) => said(op.flags === 2 ? t.sys.syncfs(at) : op.flags === 1 ? t.sys.fdatasync(at) : t.sys.fsync(at)),
  (op, n) => [['fsync', 'fdatasync', 'syncfs'][op.flags], n],
);

const fstat = onSlot(
  2,
  () => true,
  () => ({}),
  (t, at) => look(t, at, ''),
  (_op, n) => ['statx', n, '', 'AT_EMPTY_PATH', 'STATX_BASIC_STATS', room(256)],
);

const chmod = onSlot(
  2,
  real,
  (by) => ({ mode: by.rnd.pick(modes) }),
  (t, at, op) => said(t.sys.fchmod(at, op.mode)),
  (op, n) => ['fchmod', n, octal(op.mode)],
);

const chown = onSlot(
  2,
  real,
  (by) => {
    const [off, len] = by.once(8) ? [-1, -1] : [by.rnd.pick([-1, ...owners]), by.rnd.pick([-1, ...groups])];
    return { off, len };
  },
  (t, at, op) =>
    op.off < 0 && op.len < 0 && isWritten(t, '', at)
      ? 'EBUSY'
      : said(t.sys.fchownat(at, '', op.off, op.len, c.AT_EMPTY_PATH)),
  (op, n) => ['fchownat', n, '', op.off, op.len, 'AT_EMPTY_PATH'],
);

const utimens = onSlot(
  2,
  real,
  (by) => ({ off: by.rnd.below(times.length), len: by.rnd.below(times.length) }),
  (t, at, op) => said(t.sys.utimensat(at, '', ...times[op.off], ...times[op.len], c.AT_EMPTY_PATH)),
  (op, n) => ['utimensat', n, '', `pack:q4:${[times[op.off], times[op.len]]}`, 'AT_EMPTY_PATH'],
);

/** The four calls on a descriptor, one after another. */
const xattrs = onSlot(
  2,
  (slot) => real(slot) && slot.type !== 'link',
  (by) => ({
    name: by.rnd.pick(['user.s', 'user.s', 'user.s', 'user.s', 'user.a', 'user.a', 'trusted.t', 'trusted.overlay.f']),
    value: `s${by.rnd.below(9)}`,
    flags: by.rnd.pick([0, 0, 0, 0, c.XATTR_CREATE, c.XATTR_REPLACE]),
  }),
  (t, at, op) => {
    const set = t.sys.fsetxattr(at, op.name, Buffer.from(op.value, 'latin1'), op.flags);
    const got = t.sys.fgetxattr(at, op.name, t.buf);
    const value = got < 0 ? said(got) : digest(t.buf.subarray(0, got));
    const listed = t.sys.flistxattr(at, t.buf);
    const removed = op.flags === 1 ? said(t.sys.fremovexattr(at, op.name)) : '';
    return [said(set), value, said(listed), removed].join(' ');
  },
  (op, n) => [
    ['fsetxattr', n, op.name, op.value, op.value.length, op.flags],
    ['fgetxattr', n, op.name, room(300), 300],
    ['flistxattr', n, room(70_000), 70_000],
    ...(op.flags === 1 ? [['fremovexattr', n, op.name]] : []),
  ],
);

/** Held as long as the descriptor is open, whatever becomes of the file. */
const lock = onSlot(
  2,
  real,
  (by) => ({ flags: by.rnd.pick([c.LOCK_SH, c.LOCK_EX, c.LOCK_UN]) }),
  (t, at, op) => said(t.sys.flock(at, op.flags | c.LOCK_NB)),
  (op, n) => ['flock', n, op.flags | c.LOCK_NB],
);

/** tmpfs allocates a page for a hole that is read through a mapping, and not for one that FUSE reads for its cache. */
function beginsWithHole({ sys, buf }: Turn, fd: number): boolean {
  // docs/differences.md, "With O_DIRECT": ext4 calls a preallocated block data once it has been read.
  sys.pread(fd, buf, 0, 1, 0);
  const position = sys.lseek(fd, 0, c.SEEK_CUR);
  const data = sys.lseek(fd, 0, c.SEEK_DATA);
  sys.lseek(fd, position, c.SEEK_SET);
  return data !== 0;
}

/**
 * How much a mapping is asked to store: nothing between the end of the file and of its last page, where tmpfs
 * keeps it for when the file grows, and FUSE without passthrough and ext4 do not. Behind that page nothing can be stored.
 */
function storable({ sys, stat }: Turn, fd: number, off: number): number {
  const size = sys.fstat(fd, stat) < 0 ? 0 : stat.size;
  return off >= Math.ceil(size / 4096) * 4096 ? STORED : Math.max(0, Math.min(STORED, size - off));
}

/** Mapped, read or written, unmapped. */
const map = onSlot(
  3,
  (slot) => readable(slot) && ((slot.flags & c.O_ACCMODE) === c.O_RDWR || slot.flags === 0),
  (by) => ({ flags: by.rnd.pick([0, 0, 1, 2]), off: by.rnd.pick([0, 10, 4096]), value: by.rnd.pick(['M', 'N']) }),
  (t, at, op) => {
    const { sys } = t;
    const length = 16_384;
    const shared = op.flags > 0 ? c.MAP_SHARED : c.MAP_PRIVATE;
    const address = sys.mmap(at, length, op.flags === 2 ? c.PROT_READ | c.PROT_WRITE : c.PROT_READ, shared, 0);
    if (address < 0) {
      return said(address);
    }
    const read = beginsWithHole(t, at) ? 0 : sys.readMemory(address, t.buf, 0, 2000);
    const seen = read < 0 ? said(read) : digest(t.buf.subarray(0, read));
    const stored = op.flags === 2 ? storable(t, at, op.off) : 0;
    const written = stored > 0 ? sys.writeMemory(address + op.off, t.buf.fill(op.value, 0, stored), 0, stored) : 0;
    const synced = op.flags === 2 ? sys.msync(address, length, c.MS_SYNC) : 0;
    return ['mapped', seen, said(written), said(synced), said(sys.munmap(address, length))].join(' ');
  },
  (op, n) => {
    const length = 16_384;
    const protection = op.flags === 2 ? 'PROT_READ|PROT_WRITE' : 'PROT_READ';
    const stored: readonly Call[] = [
      ['poke', n, '%', op.off, filled(op.value, STORED)],
      ['msync', '%', length, 'MS_SYNC'],
    ];
    return [
      ['mmap', 0, length, protection, op.flags > 0 ? 'MAP_SHARED' : 'MAP_PRIVATE', n, 0],
      ['peek', n, '%', 2000],
      ...(op.flags === 2 ? stored : []),
      ['munmap', '%', length],
    ];
  },
);

/** After these another file is in the slot, or none; an inode number may come again. */
export const replacing: readonly string[] = ['slot-open', 'slot-orphan', 'slot-tmpfile', 'slot-close'];

export const slotKinds: Kinds = {
  'slot-open': open,
  'slot-orphan': orphan,
  'slot-tmpfile': openTmpfile,
  'slot-link': link,
  'slot-close': close,
  'slot-read': read,
  'slot-write': write,
  'slot-stream': stream,
  'slot-truncate': truncate,
  'slot-fallocate': fallocate,
  'slot-copy': copy,
  'slot-seek': seek,
  'slot-sync': sync,
  'slot-stat': fstat,
  'slot-chmod': chmod,
  'slot-chown': chown,
  'slot-utimens': utimens,
  'slot-xattrs': xattrs,
  'slot-lock': lock,
  'slot-map': map,
};
