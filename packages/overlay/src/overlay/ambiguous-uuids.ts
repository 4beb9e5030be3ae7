/** Filesystems of which an origin's uuid does not tell one from the other (kernel: ovl_lower_uuid_ok and bad_uuid). */
import type { Layer } from '../layer/layer.ts';
import type { SuperLayers } from './super.ts';

/**
 * The devices of lowers that share a uuid. The upper's filesystem counts only where a lower on it stands above
 * the other.
 */
export function ambiguousFilesystems({ lowers, data = [], upper }: SuperLayers): ReadonlySet<number> {
  const seen: Layer[] = [];
  const ambiguous = new Set<number>();
  for (const layer of [...lowers, ...data]) {
    if (seen.some((other) => other.dev === layer.dev)) continue;
    const twin = layer.dev === upper?.dev ? undefined : seen.find((other) => other.uuid.equals(layer.uuid));
    if (twin) ambiguous.add(twin.dev).add(layer.dev);
    seen.push(layer);
  }
  return ambiguous;
}
