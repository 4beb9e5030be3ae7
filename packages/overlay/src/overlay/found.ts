import type { Dentry } from '../layer/layer.ts';
import type { ByteString } from '../sys/bytes.ts';

/** What the layers hold for one name. */
export interface Found {
  upper: Dentry | null;
  lowers: Dentry[];
  isDir: boolean;
  opaque: boolean;
  redirect: ByteString | null;
  upperHasOrigin: boolean;
  upperIno: bigint;
  /** What the upper's overlay.protattr says. */
  protection: number;
  /** The first lower's inode number and link count. */
  lowerIno: bigint;
  lowerNlink: number;
}
