/**
 * The words of random trees: few names, so that operations meet; modes, owners, xattrs and ACLs
 * with a meaning of their own; times that are not now.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import { fromText } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { makedev } from 'stratafs/internal/sys/stat';

export const names: readonly ByteString[] = ['a', 'b', 'c', 'd', 'e', 'f'];

/** Names that something could trip over, aufs's whiteouts among them. */
export const oddNames: readonly ByteString[] = [
  'n'.repeat(255),
  fromText('größe'),
  '\xff\xfe',
  'a b',
  'a\\b:c,d',
  '#1',
  '.wh.a',
  '-',
];

export const modes: readonly number[] = [
  0o644, 0o600, 0o666, 0o777, 0o755, 0o700, 0o444, 0o000, 0o4755, 0o4777, 0o6777, 0o2777, 0o2644, 0o2755, 0o1777,
];
export const users: readonly number[] = [0, 0, 0, 1000, 1001];
export const umasks: readonly number[] = [0, 0o22, 0o77, 0o27];
export const owners: readonly number[] = [0, 1000, 1001];
export const groups: readonly number[] = [0, 1000, 1001, 2000, 2001];

/** /dev/null and /dev/zero, and block devices that no driver answers for. */
export const charDevices: readonly number[] = [makedev(1, 3), makedev(1, 5)];
export const blockDevices: readonly number[] = [makedev(240, 7), makedev(250, 300)];

/** Links never climb out of the mount by more than one directory, where nothing is to be found (pair.ts). */
export const targets: readonly ByteString[] = [
  'a',
  'b',
  'c/d',
  '../a',
  '../b',
  './e',
  '.',
  '/nothing/here',
  fromText('ä'),
  'x'.repeat(300),
];

/** An ACL as its xattr holds it: [tag, permissions, id] by entry. */
function acl(...entries: readonly (readonly [number, number, number?])[]): ByteString {
  const value = Buffer.alloc(4 + 8 * entries.length);
  value.writeUInt32LE(2, 0);
  for (const [i, [tag, permissions, id = -1]] of entries.entries()) {
    value.writeUInt16LE(tag, 4 + 8 * i);
    value.writeUInt16LE(permissions, 6 + 8 * i);
    value.writeInt32LE(id, 8 + 8 * i);
  }
  return value.toString('latin1');
}

const [USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER] = [1, 2, 4, 8, 0x10, 0x20];

export const acls: readonly ByteString[] = [
  acl([USER_OBJ, 7], [GROUP_OBJ, 5], [OTHER, 5]),
  acl([USER_OBJ, 6], [USER, 7, 1000], [GROUP_OBJ, 5], [MASK, 5], [OTHER, 0]),
  acl([USER_OBJ, 7], [USER, 6, 1001], [GROUP_OBJ, 7], [GROUP, 7, 2000], [MASK, 7], [OTHER, 4]),
  acl([USER_OBJ, 7], [GROUP_OBJ, 7], [GROUP, 3, 2001], [MASK, 3], [OTHER, 7]),
];

export const ACL_ACCESS = 'system.posix_acl_access';
export const ACL_DEFAULT = 'system.posix_acl_default';
export const CAPABILITY = 'security.capability';

/** cap_net_raw, permitted and effective (VFS_CAP_REVISION_2). */
export const capability: ByteString = Buffer.from('0100000200200000000000000000000000000000', 'hex').toString('latin1');

/** Names of every prefix; overlay's own come escaped by one level and by two. */
export const xattrs: readonly ByteString[] = [
  'user.a',
  'user.b',
  'user.a',
  'user.b',
  'trusted.t',
  'trusted.overlay.x',
  'trusted.overlay.opaque',
  'trusted.overlay.origin',
  'trusted.overlay.metacopy',
  'trusted.overlay.overlay.y',
  'user.overlay.x',
  'user.overlay.opaque',
  'user.overlay.redirect',
  'security.s',
  CAPABILITY,
];

/** Xattrs of a layer itself that mark nothing, private names of the overlay among them. */
export const plainXattrs: readonly ByteString[] = [
  'user.a',
  'user.b',
  'trusted.t',
  'security.s',
  'user.overlay.x',
  'trusted.overlay.x',
  'trusted.overlay.overlay.y',
];

/** Seconds and nanoseconds: before 1970, around the ends of 32 bits, far away. */
export const times: readonly (readonly [number, number])[] = [
  [0, 0],
  [-1, 999_999_999],
  [-86_400 * 365, 5],
  [-0x80000000, 0],
  [0x7fffffff, 1],
  [0x80000000, 500_000_000],
  [0x3fffffff0 - 20, 7],
  [1_000_000_000, 123_456_789],
  [1_234_567_890, 1],
  [0, c.UTIME_NOW],
  [0, c.UTIME_OMIT],
];
