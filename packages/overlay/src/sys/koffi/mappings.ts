/**
 * Files in memory: mmap(2), msync(2), and access to what is mapped. The bytes are read and written
 * by process_vm_readv(2) and process_vm_writev(2) on this process itself: the page faults are
 * those of any access, but a page beyond the end of its file, or a mapping that is gone, is an errno where a
 * view of the memory would be a signal that ends Node.
 */
import { EFAULT } from '../errno.ts';
import type { Sys } from '../sys.ts';
import type { Libc } from './libc.ts';
import { type Scratch, slice } from './scratch.ts';

/** `struct iovec`: an address, then a length; here ours in words 0-1, the mapping's in 2-3. */
const REMOTE = 16;

export function mappingCalls(
  libc: Libc,
  scratch: Scratch,
): Pick<Sys, 'mmap' | 'munmap' | 'msync' | 'readMemory' | 'writeMemory'> {
  const { struct } = scratch;
  const errno = libc.errno;
  const mmap = libc.func('mmap', 'int64', ['uintptr_t', 'size_t', 'int', 'int', 'int', 'int64']);
  const munmap = libc.func('munmap', 'int', ['uintptr_t', 'size_t']);
  const msync = libc.func('msync', 'int', ['uintptr_t', 'size_t', 'int']);
  const iovecs = ['int', 'uintptr_t', 'size_t', 'uintptr_t', 'size_t', 'size_t'] as const;
  const processVmReadv = libc.func('process_vm_readv', 'int64', [...iovecs]);
  const processVmWritev = libc.func('process_vm_writev', 'int64', [...iovecs]);

  const access = (call: typeof processVmReadv, at: number, buf: Uint8Array, off: number, len: number): number => {
    const part = slice(buf, off, len);
    if (typeof part === 'number') return part;
    // Nothing at all has no address, and neither has it to be asked for.
    if (len === 0) return 0;
    struct.setInt64(0, libc.address(part));
    struct.setInt64(1, len);
    struct.setInt64(2, at);
    struct.setInt64(3, len);
    const r = call(process.pid, struct.address, 1, struct.address + REMOTE, 1, 0);
    if (r < 0) return -errno();
    // Less than all is how it tells that a later page could not be had.
    return r < len ? -EFAULT : r;
  };

  return {
    mmap(fd, len, prot, flags, off) {
      const r = mmap(0, len, prot, flags, fd, off);
      return r < 0 ? -errno() : r;
    },
    munmap(at, len) {
      return munmap(at, len) < 0 ? -errno() : 0;
    },
    msync(at, len, flags) {
      return msync(at, len, flags) < 0 ? -errno() : 0;
    },
    readMemory(at, buf, off, len) {
      return access(processVmReadv, at, buf, off, len);
    },
    writeMemory(at, buf, off, len) {
      return access(processVmWritev, at, buf, off, len);
    },
  };
}
