/** Memory that O_DIRECT takes: the filesystem says which of a few places it likes. */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import type { Sys } from 'stratafs/internal/sys/sys';
import { check } from '../expect.ts';
import { BLOCK } from './content.ts';

/** The memory of a buffer this long begins a fixed, small distance behind a page's beginning. */
const ROOM = 256 * 1024;
const STEP = 16;

/** `dir` is a directory of the filesystem that stores the files. @returns null where it has no O_DIRECT. */
export function directRoom(sys: Sys, dir: ByteString): Buffer | null {
  const path = `${dir}/o-direct`;
  const fd = sys.openat(c.AT_FDCWD, path, c.O_RDWR | c.O_CREAT | c.O_DIRECT, 0o600);
  if (fd < 0) {
    sys.unlinkat(c.AT_FDCWD, path, 0);
    return null;
  }
  const memory = Buffer.allocUnsafeSlow(ROOM + BLOCK);
  check(sys.ftruncate(fd, BLOCK), 'ftruncate');
  let at = 0;
  while (at < BLOCK && sys.pwrite(fd, memory.subarray(at), 0, BLOCK, 0) !== BLOCK) {
    at += STEP;
  }
  sys.close(fd);
  check(sys.unlinkat(c.AT_FDCWD, path, 0), 'unlink');
  return at < BLOCK ? memory.subarray(at, at + ROOM) : null;
}
