/**
 * POSIX ACL inheritance (kernel: posix_acl_create_masq in fs/posix_acl.c), for objects that are
 * built in the workdir and so cannot inherit from the directory they will appear in. The attribute's
 * bytes: version 2 as u32, then entries of { tag u16, perm u16, id u32 }, little-endian.
 */
const HEADER = 4;
const ENTRY = 8;
const VERSION = 2;

const USER_OBJ = 0x01;
const GROUP_OBJ = 0x04;
const MASK = 0x10;
const OTHER = 0x20;

export interface Inherited {
  /** Permission bits that are left of the mode asked. */
  mode: number;
  /** The access ACL to set, null when the mode says it all. */
  access: Buffer | null;
}

export interface AclEntry {
  tag: number;
  perm: number;
  id: number;
}

/** @returns the entries, or null for bytes that are no ACL. */
export function decodeAcl(value: Uint8Array): AclEntry[] | null {
  const buf = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (buf.length < HEADER || buf.readUInt32LE(0) !== VERSION || (buf.length - HEADER) % ENTRY !== 0) return null;
  const entries: AclEntry[] = [];
  for (let at = HEADER; at < buf.length; at += ENTRY) {
    entries.push({ tag: buf.readUInt16LE(at), perm: buf.readUInt16LE(at + 2), id: buf.readUInt32LE(at + 4) });
  }
  return entries;
}

function encodeAcl(entries: AclEntry[]): Buffer {
  const out = Buffer.alloc(HEADER + entries.length * ENTRY);
  out.writeUInt32LE(VERSION, 0);
  entries.forEach((entry, i) => {
    const at = HEADER + i * ENTRY;
    out.writeUInt16LE(entry.tag, at);
    out.writeUInt16LE(entry.perm, at + 2);
    out.writeUInt32LE(entry.id, at + 4);
  });
  return out;
}

/** What a new object with permission bits `mode` gets from its directory's default ACL. */
export function inheritAcl(defaultAcl: Buffer, mode: number): Inherited {
  const entries = decodeAcl(defaultAcl);
  if (!entries) return { mode, access: null };
  let left = mode & 0o777;
  let named = false;
  let group: AclEntry | undefined;
  let mask: AclEntry | undefined;
  for (const entry of entries) {
    if (entry.tag === USER_OBJ) {
      entry.perm &= left >> 6;
      left = (left & ~0o700) | (entry.perm << 6);
    } else if (entry.tag === OTHER) {
      entry.perm &= left & 7;
      left = (left & ~0o007) | entry.perm;
    } else if (entry.tag === GROUP_OBJ) group = entry;
    else {
      named = true;
      if (entry.tag === MASK) mask = entry;
    }
  }
  // With a mask the group bits of the mode are the mask; without, the owning group's.
  const groupClass = mask ?? group;
  if (groupClass) {
    groupClass.perm &= (left >> 3) & 7;
    left = (left & ~0o070) | (groupClass.perm << 3);
  }
  return { mode: (mode & ~0o777) | left, access: named ? encodeAcl(entries) : null };
}
