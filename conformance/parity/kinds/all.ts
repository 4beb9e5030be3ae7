/** Every kind of operation, by name. */
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

/** Those that say something with these options. */
export function kindsOf(options: readonly string[]): readonly string[] {
  const without = options.includes('nfs_export=on') ? [] : Object.keys(handleKinds);
  // Nobody in a user namespace may set what this is about.
  const denied = options.includes('userxattr') ? ['protect'] : [];
  return Object.keys(kinds).filter((name) => !without.includes(name) && !denied.includes(name));
}
