/** The one rule for names that reach a directory of a layer. */
import type { ByteString } from '../sys/bytes.ts';

/**
 * Whether `name` is one component. Names come from requests, from directories and from redirect
 * xattrs, which anybody may have written: '..' or a slash would lead out of the layer. The kernel's
 * lookup of one component answers -EACCES to the rest, and so do layers.
 */
export function isComponent(name: ByteString): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/');
}
