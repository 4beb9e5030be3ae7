/**
 * Disk images and their loop devices. An image is kept in memory by its blocks that are not zero,
 * so that it is put back in milliseconds, however large the filesystem has to be.
 */
import { closeSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { EBUSY, errnoName } from 'stratafs/internal/sys/errno';
import type { Sys } from 'stratafs/internal/sys/sys';
import { check } from '../expect.ts';

const CHUNK = 1 << 20;
const BLOCK = 4096;

export interface Image {
  size: number;
  extents: { off: number; data: Buffer }[];
}

export function readImage(path: string, size: number): Image {
  const fd = openSync(path, 'r');
  const extents: Image['extents'] = [];
  const chunk = Buffer.alloc(CHUNK);
  const zeros = Buffer.alloc(BLOCK);
  for (let at = 0; at < size; at += CHUNK) {
    const n = readSync(fd, chunk, 0, CHUNK, at);
    for (let start = 0; start < n; start += BLOCK) {
      let end = start;
      while (end < n && !chunk.subarray(end, end + BLOCK).equals(zeros.subarray(0, Math.min(BLOCK, n - end)))) {
        end += BLOCK;
      }
      if (end > start) extents.push({ off: at + start, data: Buffer.from(chunk.subarray(start, Math.min(end, n))) });
      start = end;
    }
  }
  closeSync(fd);
  return { size, extents };
}

/** A file that holds `image`. @returns its descriptor. */
export function writeImage(path: string, image: Image): number {
  const fd = openSync(path, 'w+', 0o600);
  ftruncateSync(fd, image.size);
  for (const { off, data } of image.extents) writeSync(fd, data, 0, data.length, off);
  return fd;
}

const LOOP_CTL_GET_FREE = 0x4c82;
const LOOP_CONFIGURE = 0x4c0a;
/** struct loop_config; of its loop_info64 only lo_flags is set. */
const SIZEOF_LOOP_CONFIG = 304;
const LO_FLAGS = 8 + 52;
/** The device is given back when the last user closes it. */
const LO_FLAGS_AUTOCLEAR = 4;

/** The number of a loop device that is free just now; a negative errno where there are none. */
function freeLoop(sys: Sys): number {
  const control = sys.openat(c.AT_FDCWD, '/dev/loop-control', c.O_RDWR, 0);
  if (control < 0) return control;
  const number = sys.ioctlInt(control, LOOP_CTL_GET_FREE, 0);
  sys.close(control);
  return number;
}

/** Why loop devices cannot be used here, or null. */
export function loopUnavailable(sys: Sys): string | null {
  const number = freeLoop(sys);
  const fd = number < 0 ? number : sys.openat(c.AT_FDCWD, `/dev/loop${number}`, c.O_RDWR, 0);
  if (fd < 0) return `no loop devices (${errnoName(fd)})`;
  sys.close(fd);
  return null;
}

/** Mounts the filesystem in the file `path` at `target`. The loop device ends with the mount. */
export function mountLoop(sys: Sys, path: ByteString, target: ByteString, fstype: string, options: string): number {
  const file = sys.openat(c.AT_FDCWD, path, c.O_RDWR, 0);
  if (file < 0) return file;
  const config = Buffer.alloc(SIZEOF_LOOP_CONFIG);
  config.writeUInt32LE(file, 0);
  config.writeUInt32LE(LO_FLAGS_AUTOCLEAR, LO_FLAGS);
  let result = -EBUSY;
  // Between the question and the use of a free device somebody else may take it.
  for (let tries = 0; tries < 50 && result === -EBUSY; tries++) {
    const device = `/dev/loop${check(freeLoop(sys), 'a free loop device')}`;
    const fd = check(sys.openat(c.AT_FDCWD, device, c.O_RDWR, 0), `open ${device}`);
    result = sys.ioctl(fd, LOOP_CONFIGURE, config);
    if (result >= 0) {
      result = sys.mount(device, target, fstype, c.MS_NOATIME, options);
      sys.close(fd);
      break;
    }
    sys.close(fd);
  }
  sys.close(file);
  return result;
}
