/**
 * Digests of data (kernel: ovl_get_verity_digest and ovl_validate_verity): metadata alone may carry the
 * fs-verity digest of the data it is for, which is compared when the data is first needed.
 *
 * Where the filesystem of the data keeps digests, it is asked. Where it keeps none, ours computes
 * the digest of what is there (fsverity-digest.ts); the kernel answers EIO then. The copy-up of
 * metadata writes down only what the filesystem itself vouches for, as the kernel does.
 */
import type { Dentry } from '../layer/layer.ts';
import { O_RDONLY } from '../sys/constants.ts';
import { EINTR, EIO, ENODATA, ENOTTY, EOPNOTSUPP, ERANGE } from '../sys/errno.ts';
import { Stat } from '../sys/stat.ts';
import { digestSize, fsverityDigest } from './fsverity-digest.ts';
import type { Inode } from './inode.ts';
import { type Digest, decodeMetacopy, encodeMetacopy, METACOPY_PLAIN } from './metacopy.ts';
import type { Super } from './super.ts';

/** FS_VERITY_MAX_DIGEST_SIZE. */
const DIGEST_MAX = 64;
/** Of overlay.metacopy, with its header. */
const LONGEST = 4 + DIGEST_MAX;

/** struct fsverity_digest: the algorithm, the size, the digest. @returns -ENODATA, -EOPNOTSUPP, -ENOTTY for none. */
function measured({ layer }: Dentry, file: number): Digest | number {
  const out = Buffer.alloc(4 + DIGEST_MAX);
  out.writeUInt16LE(DIGEST_MAX, 2);
  const err = layer.measureVerity(file, out);
  if (err < 0) return err;
  return { algorithm: out.readUInt16LE(0), digest: out.subarray(4, 4 + out.readUInt16LE(2)) };
}

function isNone(err: number): boolean {
  return err === -ENODATA || err === -EOPNOTSUPP || err === -ENOTTY;
}

/**
 * The value of overlay.metacopy for a copy of metadata over `data`; null where its data has to be
 * copied too, because a digest is required and the filesystem has none. @returns or a negative errno.
 */
export function metacopyValue(sb: Super, data: Dentry): Buffer | null | number {
  const { verity } = sb.config;
  if (verity === 'off') return METACOPY_PLAIN;
  const file = data.layer.open(data, O_RDONLY);
  if (file < 0) return file;
  const digest = measured(data, file);
  data.layer.close(file);
  if (typeof digest !== 'number') return encodeMetacopy(digest);
  if (verity === 'require') return null;
  return isNone(digest) ? METACOPY_PLAIN : digest;
}

/**
 * kernel ovl_maybe_validate_verity: once an inode, before its data is used.
 * @returns 0; -EIO where the data is not what the digest says, or a digest is required and not there.
 */
export function validateVerity(sb: Super, inode: Inode, data: Dentry): number {
  const { verity } = sb.config;
  const metacopy = inode.metacopy!;
  if (verity === 'off' || metacopy.verified) return 0;
  const name = inode.real.name;
  if (!metacopy.hasDigest) {
    if (verity === 'on') return 0;
    sb.hooks.log(`metacopy file '${name}' has no digest specified`);
    return -EIO;
  }
  const value = inode.real.layer.getxattr(inode.real, sb.names.metacopy);
  // More than the longest digest: the kernel has no room to read it into.
  if (typeof value !== 'number' && value.length > LONGEST) return -ERANGE;
  const expected = typeof value === 'number' ? value : decodeMetacopy(value);
  if (typeof expected === 'number') return expected;
  const actual = expected === null ? -EIO : digestOf(sb, data, expected.algorithm);
  if (actual === -EINTR) return actual;
  const { algorithm, digest } = expected ?? { algorithm: 0, digest: METACOPY_PLAIN };
  if (typeof actual === 'number' || actual.algorithm !== algorithm || !actual.digest.equals(digest)) {
    const why = typeof actual === 'number' ? 'cannot be measured' : 'has the wrong fs-verity digest';
    sb.hooks.log(`lower file '${data.name}' of metacopy file '${name}' ${why}`);
    return -EIO;
  }
  metacopy.verified = true;
  return 0;
}

function digestOf(sb: Super, data: Dentry, algorithm: number): Digest | number {
  const { layer } = data;
  const file = layer.open(data, O_RDONLY);
  if (file < 0) return file;
  let digest = measured(data, file);
  // A filesystem with digests that has none of this file does not vouch for it.
  if (digest === -EOPNOTSUPP || digest === -ENOTTY) digest = computed(sb, data, file, algorithm);
  layer.close(file);
  return digest;
}

function computed(sb: Super, { layer }: Dentry, file: number, algorithm: number): Digest | number {
  if (digestSize(algorithm) === 0) return -EIO;
  const st = new Stat();
  const err = layer.fstat(file, st);
  if (err < 0) return err;
  const digest = fsverityDigest(algorithm, st.size, (buf, pos) =>
    sb.hooks.cancelled() ? -EINTR : layer.read(file, buf, 0, buf.length, pos),
  );
  return typeof digest === 'number' ? digest : { algorithm, digest };
}
