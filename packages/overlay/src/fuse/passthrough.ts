/**
 * Passthrough: reads, writes and mappings of a file go from the kernel straight to the backing
 * file, and no request comes (fs/fuse/passthrough.c, iomode.c).
 *
 * The kernel lets all open files of one inode be cached or all be passthrough with one backing id,
 * never both: a wrong answer to OPEN becomes EIO of open(2). So this counts the open files of each
 * node, registers one id for the first, gives the same id to all, and closes it after the last;
 * while a cached file lives every further open stays cached. The kernel leaves a mode before it
 * sends the RELEASE that is counted here, so the count errs on the safe side.
 *
 * Readers of a lower file (lower_io=passthrough) cannot be moved when somebody writes to it. What cannot
 * share their id is refused with -ESTALE, whereupon Linux walks the path again and finds the same object
 * under another nodeid (Ops.split): a node of its own, which has no open files yet.
 *
 * Linux opens a file of its own on the backing one with the flags of the opener's, and these stay: who takes O_DIRECT
 * off a descriptor, as dd(1) does for the last and shorter block, would go on with a file that refuses such a write.
 * So a file opened with O_DIRECT is passthrough for its mappings alone (FOPEN_DIRECT_IO), and its READs and WRITEs
 * come with the flags that it has then. They go by the page cache; `misaligned` refuses what the disk would.
 *
 * Registering needs CAP_SYS_ADMIN in the initial user namespace and a backing filesystem that is
 * not stacked. Where it fails, the open is cached: -EPERM is the same for every file and turns
 * passthrough off, any other errno concerns one file.
 */
import type { OpenOut } from '../ops/ops.ts';
import { AT_EMPTY_PATH, O_ACCMODE, O_DIRECT, O_RDONLY, O_RDWR, O_TRUNC, STATX_DIOALIGN } from '../sys/constants.ts';
import { EOPNOTSUPP, EPERM, ESTALE, errnoName } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import type { Sys } from '../sys/sys.ts';
import { FUSE_DEV_IOC_BACKING_CLOSE, FUSE_DEV_IOC_BACKING_OPEN } from './flags.ts';
import { backingMap } from './layout.ts';

/** Where backing files are registered; ids are > 0. */
export interface BackingDevice {
  /** What offsets and lengths of O_DIRECT have to be multiples of; 0 where anything goes. */
  directAlign(fd: number): number;
  /** @returns a backing id, or a negative errno. */
  register(fd: number): number;
  unregister(id: number): void;
}

/** The FUSE device's ioctls. */
export function backingDevice(sys: Sys, deviceFd: number): BackingDevice {
  const map = Buffer.alloc(backingMap.size);
  const id = Buffer.alloc(4);
  const stat = new Stat();
  return {
    directAlign(fd) {
      return sys.statx(fd, '', AT_EMPTY_PATH, stat, STATX_DIOALIGN) < 0 ? 0 : stat.dioOffsetAlign;
    },
    register(fd) {
      map.fill(0);
      map.writeInt32LE(fd, backingMap.fd);
      return sys.ioctl(deviceFd, FUSE_DEV_IOC_BACKING_OPEN, map);
    },
    unregister(backingId) {
      id.writeUInt32LE(backingId);
      sys.ioctl(deviceFd, FUSE_DEV_IOC_BACKING_CLOSE, id);
    },
  };
}

/** The open files of one node. */
interface NodeFiles {
  /** 0: they are cached. */
  backingId: number;
  /** The id is that of a lower file. */
  lower: boolean;
  opens: number;
  /** Those through which a mapping can be written. */
  mappable: number;
  /** `BackingDevice.directAlign`, once a file was opened with O_DIRECT. */
  align: number;
}

export class BackingFiles {
  /** Whether passthrough is used at all. Decided by INIT; while off, nothing is counted. */
  enabled = false;
  private readonly nodes = new Map<number, NodeFiles>();
  private readonly device: BackingDevice;
  private readonly log: (line: string) => void;

  constructor(device: BackingDevice, log: (line: string) => void) {
    this.device = device;
    this.log = log;
  }

  /**
   * Counts a file just opened. @returns the backing id to answer with, 0 for a cached file, or -ESTALE, uncounted,
   * for one that does not go with those that read a lower.
   */
  opened(nodeid: number, open: OpenOut, flags: number): number {
    let files = this.nodes.get(nodeid);
    if (!files) {
      if (!this.enabled) return 0;
      const backingId = this.register(open.backingFd);
      files = { backingId, lower: open.lower && backingId !== 0, opens: 0, mappable: 0, align: 0 };
      this.nodes.set(nodeid, files);
    } else if (files.lower && (open.backingFd < 0 || !open.lower)) {
      return -ESTALE;
    }
    files.opens++;
    if (isMappable(flags)) files.mappable++;
    if ((flags & O_DIRECT) !== 0 && files.backingId !== 0 && files.align === 0 && open.backingFd >= 0) {
      files.align = this.device.directAlign(open.backingFd);
    }
    return files.backingId;
  }

  /** Whether the filesystem below would refuse to read or write `len` bytes at `pos` with a file's present `flags`. */
  misaligned(nodeid: number, flags: number, pos: number, len: number): boolean {
    if ((flags & O_DIRECT) === 0) return false;
    const files = this.nodes.get(nodeid);
    return files !== undefined && files.align > 1 && (pos % files.align !== 0 || len % files.align !== 0);
  }

  /** Whether an open with `flags` does not go with those that read a lower, as it writes. */
  refuses(nodeid: number, flags: number): boolean {
    if ((flags & O_ACCMODE) === O_RDONLY && (flags & O_TRUNC) === 0) return false;
    return this.nodes.get(nodeid)?.lower ?? false;
  }

  /** The counterpart of `opened`; `flags` are the same open(2) flags. */
  released(nodeid: number, flags: number): void {
    const files = this.nodes.get(nodeid);
    if (!files) return;
    if (isMappable(flags)) files.mappable--;
    if (--files.opens > 0) return;
    if (files.backingId !== 0) this.device.unregister(files.backingId);
    this.nodes.delete(nodeid);
  }

  /**
   * Whether a passthrough file of `nodeid` is open so that a mapping of it can be written. Of write(2) the
   * kernel knows itself what it changes; a store through a mapping is seen by nobody.
   */
  hasMappable(nodeid: number): boolean {
    if (this.nodes.size === 0) return false;
    const files = this.nodes.get(nodeid);
    return files !== undefined && files.backingId !== 0 && files.mappable > 0;
  }

  private register(fd: number): number {
    if (fd < 0) return 0;
    const id = this.device.register(fd);
    if (id > 0) return id;
    if (id === -EPERM || id === -EOPNOTSUPP) {
      // Nodes counted so far keep their mode until their last file is released.
      this.enabled = false;
      this.log(`passthrough is off: ${errnoName(id)} from the kernel`);
    }
    return 0;
  }
}

/** mmap(2) takes no file that cannot be read. */
function isMappable(flags: number): boolean {
  return (flags & O_ACCMODE) === O_RDWR;
}
