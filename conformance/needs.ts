/** What a case needs, and whether a target has it. */
import type { Need, TargetName } from './target.ts';
import { type Attrs, needsRoot, type Tree } from './tree.ts';

export interface Host {
  readonly privileged: boolean;
  readonly reason: string;
  readonly handles: boolean;
}

/** What of the needs of a case is not there, in words, or null. */
export function lacking(
  test: { needs?: readonly Need[]; dir?: Attrs },
  trees: readonly (Tree | null)[],
  target: TargetName,
  host: Host,
): string | null {
  const needs = test.needs ?? [];
  const asksRoot =
    needs.includes('root') ||
    trees.some((tree) => needsRoot({ dir: { type: 'dir', entries: tree ?? {}, ...test.dir } }));
  if (asksRoot && !host.privileged) {
    return host.reason;
  }
  if (needs.includes('handles') && !host.handles) {
    return 'files of a FUSE mount have no handles that outlive it';
  }
  return needs.includes('vfs') && target === 'in-process'
    ? 'the VFS, which answers this call, is not part of it'
    : null;
}
