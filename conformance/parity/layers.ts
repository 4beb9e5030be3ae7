/**
 * Lowers of a random union. The lowest is a plain tree. Each one above is what the kernel's
 * overlay made of those below when things were created, changed, renamed and removed: so it holds
 * whiteouts, opaque directories, redirects and metacopy files that are the kernel's own; and it
 * began with a plain tree too, so that what is merged is not only what the kernel merged.
 */
import { mkdirSync } from 'node:fs';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { errnoName } from 'stratafs/internal/sys/errno';
import { Stat } from 'stratafs/internal/sys/stat';
import type { Sys } from 'stratafs/internal/sys/sys';
import type { Random } from '../random.ts';
import { listNames } from './directories.ts';
import {
  ACL_ACCESS,
  ACL_DEFAULT,
  acls,
  blockDevices,
  CAPABILITY,
  capability,
  charDevices,
  groups,
  modes,
  names,
  oddNames,
  owners,
  plainXattrs,
  targets,
  times,
} from './vocabulary.ts';

const CWD = c.AT_FDCWD;
const SEEDED = 22;
const SHAKES = 30;
/** By names alone few files of a lower are met whose data could stay below. */
const METADATA_SHAKES = 4;

export class LayerMaker {
  readonly #sys: Sys;
  readonly #rnd: Random;

  constructor(sys: Sys, rnd: Random) {
    this.#sys = sys;
    this.#rnd = rnd;
  }

  /**
   * Fills `dirs` (the first is the top), which are empty.
   * @param making the kernel's mount options.
   * @param scratch an empty directory on the filesystem of each of `dirs`, and where to mount.
   */
  make(dirs: readonly ByteString[], making: readonly string[], scratch: readonly ByteString[], at: ByteString): void {
    const old = this.#sys.umask(0);
    for (let i = dirs.length - 1; i >= 0; i--) {
      this.#seed(dirs[i]);
      if (i < dirs.length - 1) {
        this.#shakeOver(dirs.slice(i + 1), dirs[i], `${scratch[i]}/work${i}`, making, at);
      }
    }
    this.#sys.umask(old);
  }

  #shakeOver(
    lowers: readonly ByteString[],
    upper: ByteString,
    work: ByteString,
    making: readonly string[],
    at: ByteString,
  ): void {
    mkdirSync(work);
    const layers = [`lowerdir=${lowers.join(':')}`, `upperdir=${upper}`, `workdir=${work}`];
    const mounted = this.#sys.mount('overlay', at, 'overlay', 0, [...layers, ...making].join(','));
    if (mounted < 0) {
      throw new Error(`the kernel does not mount ${layers.join(',')},${making.join(',')}: ${errnoName(mounted)}`);
    }
    try {
      for (let i = 0; i < SHAKES; i++) {
        this.#shake(at);
      }
      if (making.includes('metacopy=on')) {
        this.#shakeMetadata(at);
      }
    } finally {
      this.#sys.umount2(at, 0);
    }
  }

  /** Files that lie below get other attributes, and some another name: their data stays where it is. */
  #shakeMetadata(root: ByteString): void {
    const sys = this.#sys;
    const { below, pick } = this.#rnd;
    const files = filesBelow(sys, root);
    for (let i = 0; i < METADATA_SHAKES && files.length > 0; i++) {
      const path = pick(files);
      sys.fchmodat(CWD, path, pick(modes), c.AT_SYMLINK_NOFOLLOW);
      if (below(2) === 0) {
        const beside = pick(files);
        sys.renameat2(CWD, path, CWD, `${beside.slice(0, beside.lastIndexOf('/'))}/${pick(names)}`, 0);
      }
    }
  }

  /** Up to three names deep. */
  #path(): ByteString {
    const { below, pick } = this.#rnd;
    return Array.from({ length: 1 + below(3) }, () => (below(25) === 0 ? pick(oddNames) : pick(names))).join('/');
  }

  /** Whatever fails, fails: the next one may not. */
  #seed(root: ByteString): void {
    const sys = this.#sys;
    const { below, pick } = this.#rnd;
    for (let i = 0; i < SEEDED; i++) {
      const path = this.#path();
      for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1)) {
        sys.mkdirat(CWD, `${root}/${path.slice(0, at)}`, pick([0o755, 0o777, 0o777]));
      }
      this.#node(`${root}/${path}`, root);
      this.#attributes(`${root}/${path}`);
      const [atime, atimeNsec] = pick(times.slice(0, 8));
      sys.utimensat(CWD, `${root}/${path}`, atime, atimeNsec, 2000 + i, below(1e9), c.AT_SYMLINK_NOFOLLOW);
    }
  }

  #node(path: ByteString, root: ByteString): void {
    const sys = this.#sys;
    const { below, pick } = this.#rnd;
    const kind = below(12);
    if (kind < 3) {
      sys.mkdirat(CWD, path, 0o777);
    } else if (kind === 3) {
      sys.symlinkat(pick(targets), CWD, path);
    } else if (kind === 4) {
      sys.linkat(CWD, `${root}/${this.#path()}`, CWD, path, 0);
    } else if (kind === 5) {
      const type = pick([c.S_IFIFO, c.S_IFSOCK, c.S_IFCHR, c.S_IFBLK]);
      const devices = type === c.S_IFCHR ? charDevices : blockDevices;
      sys.mknodat(CWD, path, type | 0o666, type === c.S_IFIFO || type === c.S_IFSOCK ? 0 : pick(devices));
    } else {
      this.#write(path, pick([0, 1, 100, 5000, 9000, 40_000]), below(4) === 0);
      if (kind === 6) {
        sys.linkat(CWD, path, CWD, `${root}/${this.#path()}`, 0);
      }
    }
  }

  /**
   * Data after a hole, or none. docs/differences.md, "Copy-up keeps every hole": of a file with a hole further on the
   * kernel's copy-up has more blocks than ours.
   */
  #write(path: ByteString, size: number, sparse: boolean): void {
    const sys = this.#sys;
    sys.unlinkat(CWD, path, 0);
    const fd = sys.openat(CWD, path, c.O_WRONLY | c.O_CREAT | c.O_NONBLOCK | c.O_NOFOLLOW, 0o644);
    if (fd < 0) {
      return;
    }
    const data = Buffer.alloc(size, this.#rnd.pick(['l', 'm', 'n']));
    sys.pwrite(fd, data, 0, data.length, sparse ? 20_480 : 0);
    sys.close(fd);
  }

  #attributes(path: ByteString): void {
    const sys = this.#sys;
    const { below, pick } = this.#rnd;
    const nofollow = c.AT_SYMLINK_NOFOLLOW;
    if (below(3) === 0) {
      sys.fchownat(CWD, path, pick(owners), pick(groups), nofollow);
    }
    sys.fchmodat(CWD, path, pick(modes), nofollow);
    const set = (name: ByteString, value: ByteString): void => {
      sys.setxattrat(CWD, path, name, Buffer.from(value, 'latin1'), 0);
    };
    if (below(4) === 0) {
      set(pick(plainXattrs), `v${below(9)}`);
    }
    if (below(6) === 0) {
      set(ACL_ACCESS, pick(acls));
    }
    if (below(5) === 0) {
      set(ACL_DEFAULT, pick(acls));
    }
    if (below(8) === 0) {
      set(CAPABILITY, capability);
    }
  }

  #shake(root: ByteString): void {
    const sys = this.#sys;
    const { below, pick } = this.#rnd;
    const path = `${root}/${this.#path()}`;
    const to = `${root}/${this.#path()}`;
    switch (below(12)) {
      case 0:
      case 1:
        removeTree(sys, CWD, path);
        break;
      case 2:
      case 3:
      case 4:
        sys.renameat2(CWD, path, CWD, to, 0);
        break;
      case 5:
        sys.mkdirat(CWD, path, 0o777);
        break;
      case 6:
        this.#write(path, 50 + below(5000), false);
        break;
      case 7:
        removeTree(sys, CWD, path);
        sys.mkdirat(CWD, path, 0o755);
        break;
      case 8:
        sys.linkat(CWD, path, CWD, to, 0);
        break;
      case 9:
        sys.utimensat(CWD, path, 1_100_000_000, below(1e9), 1_200_000_000, below(1e9), c.AT_SYMLINK_NOFOLLOW);
        break;
      default:
        sys.fchmodat(CWD, path, pick(modes), c.AT_SYMLINK_NOFOLLOW);
    }
  }
}

/** The paths of all regular files with data. */
function filesBelow(sys: Sys, dir: ByteString): ByteString[] {
  const fd = sys.openat(CWD, dir, c.O_RDONLY | c.O_DIRECTORY | c.O_NOFOLLOW, 0);
  if (fd < 0) {
    return [];
  }
  const st = new Stat();
  const files = listNames(sys, fd).flatMap((name) => {
    const path = `${dir}/${name}`;
    if (sys.statx(fd, name, c.AT_SYMLINK_NOFOLLOW, st) < 0) {
      return [];
    }
    if (st.type === c.S_IFDIR) {
      return filesBelow(sys, path);
    }
    return st.type === c.S_IFREG && st.size > 0 ? [path] : [];
  });
  sys.close(fd);
  return files;
}

/** rm -rf. */
function removeTree(sys: Sys, dirfd: number, path: ByteString): void {
  if (sys.unlinkat(dirfd, path, 0) === 0) {
    return;
  }
  const fd = sys.openat(dirfd, path, c.O_RDONLY | c.O_DIRECTORY | c.O_NOFOLLOW, 0);
  if (fd < 0) {
    return;
  }
  for (const name of listNames(sys, fd)) {
    removeTree(sys, fd, name);
  }
  sys.close(fd);
  sys.unlinkat(dirfd, path, c.AT_REMOVEDIR);
}
