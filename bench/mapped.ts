/**
 * Reading through a mapping, one byte of a page at a time. The touch itself is done by the C library (memcmp), because a
 * read through process_vm_readv would be another system call each.
 */
import { MAP_SHARED, PROT_READ } from 'stratafs/internal/sys/constants';
import { openLibc } from 'stratafs/internal/sys/koffi/libc';
import { sys } from './client.ts';

const PAGE = 4096;
/** What is compared with; held, because its address is all that the call gets. */
const zero = Buffer.alloc(8);

/** Touches `total` bytes' worth of pages of the first `size` bytes of `fd`, at random. */
export function readMapped(fd: number, size: number, total: number): void {
  const libc = openLibc();
  const memcmp = libc.func('memcmp', 'int', ['uintptr_t', 'uintptr_t', 'size_t']);
  const at = sys.mmap(fd, size, PROT_READ, MAP_SHARED, 0);
  if (at < 0) throw new Error(`mmap: ${at}`);
  const other = libc.address(zero);
  let seed = 54321;
  for (let done = 0; done < total; done += PAGE) {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    memcmp(at + Math.floor((seed / 2 ** 32) * (size / PAGE)) * PAGE, other, 1);
  }
  sys.munmap(at, size);
}
