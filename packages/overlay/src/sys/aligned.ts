/** Memory as O_DIRECT wants it: at an address that is a multiple of something. */
import { openLibc } from './koffi/libc.ts';

/** `size` bytes of zeros whose address is a multiple of `alignment`. */
export function alignedBuffer(size: number, alignment: number): Buffer {
  const memory = Buffer.alloc(size + alignment - 1);
  const past = openLibc().address(memory) % alignment;
  const skip = past === 0 ? 0 : alignment - past;
  return memory.subarray(skip, skip + size);
}
