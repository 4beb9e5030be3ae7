/** A MountError as a person reads it. */
import type { MountError } from 'stratafs/internal/mount/mount-error';

/** The sentence, and the errno's name where it is not in it yet. */
export function mountErrorText(error: MountError): string {
  if (error.errno === 0 || error.message.includes(error.errnoName)) return error.message;
  return `${error.message} (${error.errnoName})`;
}
