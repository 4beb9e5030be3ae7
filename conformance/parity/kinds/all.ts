/** Every kind of operation, by name. */
import { attributeKinds } from './attributes.ts';
import { fileKinds } from './files.ts';
import type { Kinds } from './kind.ts';
import { listingKinds } from './listings.ts';
import { nameKinds } from './names.ts';
import { slotKinds } from './slots.ts';

export const kinds: Kinds = { ...nameKinds, ...fileKinds, ...slotKinds, ...attributeKinds, ...listingKinds };
