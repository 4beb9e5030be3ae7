/** Directory names for cases: what a person finds who looks at the layers of a failed one. */
import type { ByteString } from 'stratafs/internal/sys/bytes';

/** A name for each, of letters, digits and dashes only, unique among all. */
export function slugs(names: readonly string[]): (name: string) => ByteString {
  const taken = new Map<ByteString, number>();
  const bySlug = new Map<string, ByteString>();
  for (const name of names) {
    const slug = name.replace(/[^a-zA-Z0-9]+/g, '-').slice(0, 100);
    const before = taken.get(slug) ?? 0;
    taken.set(slug, before + 1);
    bySlug.set(name, before === 0 ? slug : `${slug}-${before + 1}`);
  }
  return (name) => {
    const slug = bySlug.get(name);
    if (slug === undefined) {
      throw new Error(`no case is called ${name}`);
    }
    return slug;
  };
}
