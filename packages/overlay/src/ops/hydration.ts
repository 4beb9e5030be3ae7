/**
 * Completing lazy copy-ups from outside: one ioctl on any directory of the mount asks the server for
 * a step of it, or how much there is to do. Steps are small, so that other requests are served in
 * between, and whoever stops asking has stopped it. `struct strata_hydrate`, 32 bytes, little-endian:
 *
 *    0 u64 in: bytes to copy at most; 0 asks for what is pending, and makes failed files be tried again
 *    8 u64 out: files: pending, or completed by this step | 16 u64 out: bytes, likewise
 *   24 u32 out: files that cannot be completed | 28 u32 out: 1 when there is nothing more to do
 */
export const STRATA_IOC_HYDRATE = 0xc0207310;
export const SIZEOF_HYDRATE = 32;

export class HydrationStep {
  files = 0;
  bytes = 0;
  failed = 0;
  done = false;
}

export function encodeHydration(into: Buffer, step: HydrationStep): void {
  into.writeBigUInt64LE(BigInt(step.files), 8);
  into.writeBigUInt64LE(BigInt(step.bytes), 16);
  into.writeUInt32LE(step.failed, 24);
  into.writeUInt32LE(step.done ? 1 : 0, 28);
}

export function decodeHydration(from: Buffer): HydrationStep {
  const step = new HydrationStep();
  step.files = Number(from.readBigUInt64LE(8));
  step.bytes = Number(from.readBigUInt64LE(16));
  step.failed = from.readUInt32LE(24);
  step.done = from.readUInt32LE(28) !== 0;
  return step;
}
