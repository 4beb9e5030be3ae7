/**
 * Inode numbers of what a layer holds on other devices than its root. A btrfs tree with subvolumes in it, or an
 * overlay over several filesystems, is one filesystem with several values of st_dev, and a number is one inode's
 * only together with that: taken alone, two files would be one. So each further device has a number of its own, in
 * bits that no such filesystem uses, for as long as this process lives.
 */

const SHIFT = 48n;

/** By st_dev. Shared by all layers: two of them may hold things on the same device. */
const devices = new Map<number, bigint>();

function bitsOf(dev: number): bigint {
  let bits = devices.get(dev);
  if (bits === undefined) {
    bits = BigInt(devices.size + 1) << SHIFT;
    devices.set(dev, bits);
  }
  return bits;
}

/** The number by which inode `ino` of `dev` is known in a layer whose root is on another device; and back again. */
export function numberElsewhere(dev: number, ino: bigint): bigint {
  return BigInt.asUintN(64, ino ^ bitsOf(dev));
}
