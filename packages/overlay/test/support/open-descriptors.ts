/** How many descriptors this process has open, to see that none is lost. */
import { readdirSync } from 'node:fs';

export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}
