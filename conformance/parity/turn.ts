/**
 * One side's turn: where an operation runs, and how what it gave is written down. A failed call is
 * its errno's name; anything else is what the calls said, so that two turns compare as text.
 */
import { createHash } from 'node:crypto';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { errnoName } from 'stratafs/internal/sys/errno';
import { Stat } from 'stratafs/internal/sys/stat';
import type { Sys } from 'stratafs/internal/sys/sys';
import { SLOTS } from './known.ts';

const BUFFER = 70_000;

export class Turn {
  readonly sys: Sys;
  /** The kernel's overlay: the judge. */
  readonly kernel: boolean;
  readonly rootPath: ByteString;
  /** The merged root: every path starts here. */
  readonly root: number;
  /** Open descriptors, -1 for none. */
  readonly slots: number[] = Array.from({ length: SLOTS }, () => -1);
  readonly stat: Stat = new Stat();
  readonly buf: Buffer = Buffer.alloc(BUFFER);

  constructor(sys: Sys, kernel: boolean, rootPath: ByteString) {
    this.sys = sys;
    this.kernel = kernel;
    this.rootPath = rootPath;
    this.root = sys.openat(c.AT_FDCWD, rootPath, c.O_RDONLY | c.O_DIRECTORY, 0);
    if (this.root < 0) {
      throw new Error(`${rootPath} cannot be opened: ${errnoName(this.root)}`);
    }
  }

  end(): void {
    this.slots.forEach((_, slot) => {
      this.closeSlot(slot);
    });
    this.sys.close(this.root);
  }

  closeSlot(slot: number): void {
    if (this.slots[slot] >= 0) {
      this.sys.close(this.slots[slot]);
      this.slots[slot] = -1;
    }
  }

  /** Opens, acts, closes. Never blocks on a FIFO. */
  opened(path: ByteString, flags: number, mode: number, act: (fd: number) => string): string {
    const fd = this.sys.openat(this.root, path, flags | c.O_NONBLOCK, mode);
    if (fd < 0) {
      return errnoName(fd);
    }
    const result = act(fd);
    this.sys.close(fd);
    return result;
  }

  read(fd: number, off: number, len: number): string {
    const n = this.sys.pread(fd, this.buf, 0, len, off);
    return n < 0 ? errnoName(n) : `${n}:${digest(this.buf.subarray(0, n))}`;
  }

  /** `len` times `fill`; `off` -1 writes where the descriptor stands. */
  write(fd: number, fill: string, off: number, len: number): string {
    const data = this.buf.fill(fill, 0, len, 'latin1');
    return said(off < 0 ? this.sys.write(fd, data, 0, len) : this.sys.pwrite(fd, data, 0, len, off));
  }
}

/** A call's result. */
export function said(result: number): string {
  return result < 0 ? errnoName(result) : String(result);
}

/** What a kind of operation gave is an error when its first call failed. */
export function isFailure(result: string): boolean {
  return /^E[A-Z0-9]+/.test(result);
}

export function digest(data: Buffer): string {
  return data.length === 0 ? '-' : createHash('md5').update(data).digest('hex').slice(0, 12);
}
