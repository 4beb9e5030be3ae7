/**
 * Which names of an upper directory are probably whiteouts: a hint beside each name in its table (Dentry.names), which any
 * further change under that name takes away. A creation that knows looks before it tries, and what it finds counts.
 */
import type { Dentry } from '../layer/layer.ts';
import { hashName } from '../layer/name-table.ts';
import type { ByteString } from '../sys/bytes.ts';

/** A layer puts 1 with a name that it changes. */
const WHITEOUT = 2;

/** A whiteout has been put in the upper directory under `name`. */
export function noteWhiteout(dir: Dentry, name: ByteString): void {
  dir.names?.put(hashName(name), WHITEOUT);
}

export function expectWhiteout(dir: Dentry, name: ByteString): boolean {
  return dir.names?.get(hashName(name)) === WHITEOUT;
}
