/** POSIX ACLs as their xattrs hold them. */
export const USER_OBJ = 1;
export const USER = 2;
export const GROUP_OBJ = 4;
export const GROUP = 8;
export const MASK = 16;
export const OTHER = 32;

export const ACCESS = 'system.posix_acl_access';
export const DEFAULT = 'system.posix_acl_default';

type AclEntry = readonly [tag: number, perm: number, id?: number];

/** The xattr's bytes: version 2, then tag, permissions and id of each entry in the kernel's order. */
export function acl(...entries: readonly AclEntry[]): Buffer {
  const out = Buffer.alloc(4 + entries.length * 8);
  out.writeUInt32LE(2, 0);
  entries.forEach(([tag, perm, id], i) => {
    out.writeUInt16LE(tag, 4 + i * 8);
    out.writeUInt16LE(perm, 6 + i * 8);
    out.writeUInt32LE(id ?? 0xffffffff, 8 + i * 8);
  });
  return out;
}
