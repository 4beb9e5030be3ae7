/** Descriptors over `Ops`: offsets, O_APPEND, access modes, listings in buffers of the caller's size. */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { Stat } from 'stratafs/internal/sys/stat';
import type { Dirent, Time } from '../../target.ts';
import { bytes } from '../../tree.ts';
import { InodeCalls } from './inode-calls.ts';

/** An open file description. */
export interface Open {
  nodeid: number;
  fh: number;
  type: number;
  flags: number;
  pos: number;
}

/** Marks an open file whose node the door holds anyway; no flag of open(2) has this bit. */
export const HELD: number = 1 << 30;

export class FileCalls extends InodeCalls {
  protected readonly files: Map<number, Open> = new Map();

  close(fd: number): number {
    const file = this.files.get(fd);
    if (file === undefined) {
      return -e.EBADF;
    }
    this.files.delete(fd);
    if ((file.flags & c.O_PATH) === 0) {
      if (file.type === c.S_IFDIR) {
        this.ops.releasedir(file.fh);
      } else {
        this.ops.release(file.fh);
      }
    }
    if ((file.flags & HELD) === 0) {
      this.ops.forget(file.nodeid, 1);
    }
    return 0;
  }

  read(fd: number, len: number): Buffer | number {
    const file = this.readable(fd);
    if (typeof file === 'number') {
      return file;
    }
    const data = this.pread(fd, len, file.pos);
    if (typeof data !== 'number') {
      file.pos += data.length;
    }
    return data;
  }

  pread(fd: number, len: number, pos: number): Buffer | number {
    const file = this.readable(fd);
    if (typeof file === 'number') {
      return file;
    }
    const buf = Buffer.alloc(len);
    let done = 0;
    // read(2) of a regular file gives all there is.
    while (done < len) {
      const n = this.ops.read(this.caller, file.fh, buf, done, len - done, pos + done);
      if (n < 0) {
        return n;
      }
      if (n === 0) {
        break;
      }
      done += n;
    }
    return buf.subarray(0, done);
  }

  write(fd: number, data: string | Uint8Array): number {
    const file = this.writable(fd, e.EBADF);
    if (typeof file === 'number') {
      return file;
    }
    const pos = this.#start(file, file.pos);
    const n = pos < 0 ? pos : this.#writeAt(file, data, pos);
    if (n > 0) {
      file.pos = pos + n;
    }
    return n;
  }

  pwrite(fd: number, data: string | Uint8Array, pos: number): number {
    const file = this.writable(fd, e.EBADF);
    if (typeof file === 'number') {
      return file;
    }
    const start = this.#start(file, pos);
    return start < 0 ? start : this.#writeAt(file, data, start);
  }

  /** Where a write begins: the end for O_APPEND. */
  #start(file: Open, pos: number): number {
    if ((file.flags & c.O_APPEND) === 0) {
      return pos;
    }
    const st = new Stat();
    const err = this.ops.getattr(this.caller, file.nodeid, file.fh, st);
    return err < 0 ? err : st.size;
  }

  #writeAt(file: Open, data: string | Uint8Array, pos: number): number {
    const buf = bytes(data);
    let done = 0;
    while (done < buf.length) {
      const n = this.ops.write(this.caller, file.fh, buf, done, buf.length - done, pos + done, false);
      if (n < 0) {
        return done > 0 ? done : n;
      }
      done += n;
    }
    return done;
  }

  lseek(fd: number, off: number, whence: number): number {
    const file = this.used(fd);
    if (typeof file === 'number') {
      return file;
    }
    const st = new Stat();
    let pos: number;
    switch (whence) {
      case c.SEEK_SET:
        pos = off;
        break;
      case c.SEEK_CUR:
        pos = file.pos + off;
        break;
      case c.SEEK_END: {
        const err = this.ops.getattr(this.caller, file.nodeid, file.fh, st);
        pos = err < 0 ? err : st.size + off;
        break;
      }
      case c.SEEK_DATA:
      case c.SEEK_HOLE:
        pos = this.ops.lseek(this.caller, file.fh, off, whence);
        break;
      default:
        return -e.EINVAL;
    }
    if (pos < 0) {
      return whence === c.SEEK_DATA || whence === c.SEEK_HOLE ? pos : -e.EINVAL;
    }
    file.pos = pos;
    return pos;
  }

  ftruncate(fd: number, size: number): number {
    const file = this.writable(fd, e.EINVAL);
    return typeof file === 'number' ? file : this.truncateNode(file.nodeid, size, file.fh);
  }

  fallocate(fd: number, mode: number, off: number, len: number): number {
    const file = this.writable(fd, e.EBADF);
    if (typeof file === 'number') {
      return file;
    }
    if (off < 0 || len <= 0) {
      return -e.EINVAL;
    }
    const punches = (mode & c.FALLOC_FL_PUNCH_HOLE) !== 0;
    if (punches && (mode & c.FALLOC_FL_KEEP_SIZE) === 0) {
      return -e.EOPNOTSUPP;
    }
    return this.ops.fallocate(this.caller, file.fh, mode, off, len);
  }

  fsync(fd: number): number {
    return this.#sync(fd, false);
  }

  fdatasync(fd: number): number {
    return this.#sync(fd, true);
  }

  #sync(fd: number, dataOnly: boolean): number {
    const file = this.used(fd);
    if (typeof file === 'number') {
      return file;
    }
    return file.type === c.S_IFDIR
      ? this.ops.fsyncdir(this.caller, file.fh, dataOnly)
      : this.ops.fsync(this.caller, file.fh, dataOnly);
  }

  copyFileRange(fdIn: number, offIn: number, fdOut: number, offOut: number, len: number): number {
    const from = this.used(fdIn);
    const to = this.used(fdOut);
    if (typeof from === 'number') {
      return from;
    }
    if (typeof to === 'number') {
      return to;
    }
    if (from.type === c.S_IFDIR || to.type === c.S_IFDIR) {
      return -e.EISDIR;
    }
    const source = this.readable(fdIn);
    const target = this.writable(fdOut, e.EBADF);
    if (typeof source === 'number') {
      return source;
    }
    if (typeof target === 'number' || (target.flags & c.O_APPEND) !== 0) {
      return -e.EBADF;
    }
    if (from.nodeid === to.nodeid && offIn < offOut + len && offOut < offIn + len) {
      return -e.EINVAL;
    }
    return this.ops.copyFileRange(this.caller, from.fh, offIn, to.fh, offOut, len);
  }

  fstat(fd: number): Stat | number {
    const file = this.files.get(fd);
    return file === undefined ? -e.EBADF : this.getattrNode(file.nodeid, file.fh);
  }

  fchmod(fd: number, mode: number): number {
    const file = this.used(fd);
    return typeof file === 'number' ? file : this.chmodNode(file.nodeid, file.fh, mode);
  }

  fchown(fd: number, uid: number, gid: number): number {
    const file = this.used(fd);
    return typeof file === 'number' ? file : this.chownNode(file.nodeid, file.type, file.fh, uid, gid);
  }

  futimens(fd: number, atime: Time, mtime: Time): number {
    const file = this.files.get(fd);
    return file === undefined ? -e.EBADF : this.utimensNode(file.nodeid, file.fh, atime, mtime);
  }

  getdents(fd: number, size = 32768): Dirent[] | number {
    const file = this.used(fd);
    if (typeof file === 'number') {
      return file;
    }
    if (file.type !== c.S_IFDIR) {
      return -e.ENOTDIR;
    }
    const entries: Dirent[] = [];
    let left = size;
    const record = (length: number): number => (19 + length + 1 + 7) & ~7;
    const err = this.ops.readdir(this.caller, file.fh, file.pos, false, {
      fits: (nameLength) => record(nameLength) <= left,
      add: (name, ino, type, off) => {
        left -= record(name.length);
        entries.push({ name, ino, type, off: BigInt(off) });
        file.pos = off;
      },
    });
    return err < 0 && entries.length === 0 ? err : entries;
  }

  seekdir(fd: number, off: bigint): number {
    return Math.min(0, this.lseek(fd, Number(off), c.SEEK_SET));
  }

  telldir(fd: number): bigint | number {
    const off = this.lseek(fd, 0, c.SEEK_CUR);
    return off < 0 ? off : BigInt(off);
  }

  fgetxattr(fd: number, name: ByteString): Buffer | number {
    const file = this.used(fd);
    return typeof file === 'number' ? file : this.getxattrNode(file.nodeid, name);
  }

  fsetxattr(fd: number, name: ByteString, value: string | Uint8Array, flags = 0): number {
    const file = this.used(fd);
    return typeof file === 'number' ? file : this.setxattrNode(file.nodeid, name, value, flags);
  }

  flistxattr(fd: number): ByteString[] | number {
    const file = this.used(fd);
    return typeof file === 'number' ? file : this.listxattrNode(file.nodeid);
  }

  fremovexattr(fd: number, name: ByteString): number {
    const file = this.used(fd);
    return typeof file === 'number' ? file : this.removexattrNode(file.nodeid, name);
  }

  getflags(fd: number): number {
    const file = this.used(fd);
    return typeof file === 'number' ? file : this.ops.getflags(this.caller, file.nodeid);
  }

  setflags(fd: number, flags: number): number {
    const file = this.used(fd);
    return typeof file === 'number' ? file : this.ops.setflags(this.caller, file.nodeid, flags);
  }

  getfsxattr(fd: number): Buffer | number {
    const file = this.used(fd);
    const out = Buffer.alloc(28);
    const err = typeof file === 'number' ? file : this.ops.getfsxattr(this.caller, file.nodeid, out);
    return err < 0 ? err : out;
  }

  setfsxattr(fd: number, value: Buffer): number {
    const file = this.used(fd);
    return typeof file === 'number' ? file : this.ops.setfsxattr(this.caller, file.nodeid, Buffer.from(value));
  }

  /** An open file that is more than a place (O_PATH). */
  protected used(fd: number): Open | number {
    const file = this.files.get(fd);
    return file === undefined || (file.flags & c.O_PATH) !== 0 ? -e.EBADF : file;
  }

  protected readable(fd: number): Open | number {
    const file = this.used(fd);
    if (typeof file === 'number' || (file.flags & c.O_ACCMODE) === c.O_WRONLY) {
      return -e.EBADF;
    }
    return file.type === c.S_IFDIR ? -e.EISDIR : file;
  }

  /** `refusal`: what the call says to a descriptor that is for reading only. */
  protected writable(fd: number, refusal: number): Open | number {
    const file = this.used(fd);
    if (typeof file === 'number') {
      return file;
    }
    return (file.flags & c.O_ACCMODE) === c.O_RDONLY ? -refusal : file;
  }
}
