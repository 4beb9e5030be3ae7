/** Every kind of operation, by name. */
import type { Mode } from '../modes.ts';
import { attributeKinds } from './attributes.ts';
import { betweenKinds } from './between.ts';
import { directKinds } from './direct.ts';
import { fileKinds } from './files.ts';
import { flagKinds } from './flags.ts';
import { handleKinds } from './handles.ts';
import type { Kinds } from './kind.ts';
import { limitKinds } from './limits.ts';
import { listingKinds } from './listings.ts';
import { nameKinds } from './names.ts';
import { slotKinds } from './slots.ts';
import { whiteoutKinds } from './whiteouts.ts';

export const kinds: Kinds = {
  ...nameKinds,
  ...whiteoutKinds,
  ...fileKinds,
  ...directKinds,
  ...limitKinds,
  ...slotKinds,
  ...betweenKinds,
  ...attributeKinds,
  ...flagKinds,
  ...listingKinds,
  ...handleKinds,
};

/**
 * Those that say something in this mode. In a user namespace nobody may protect a file, and by the row of
 * docs/differences.md on files that are linked there each of the kernel's two inodes of one file has its own locks.
 */
export function kindsOf({ options, userns }: Mode): readonly string[] {
  const without = [
    ...(options.includes('nfs_export=on') ? [] : Object.keys(handleKinds)),
    ...(userns === true ? ['protect', 'lock', 'slot-lock'] : []),
  ];
  return Object.keys(kinds).filter((name) => !without.includes(name));
}
