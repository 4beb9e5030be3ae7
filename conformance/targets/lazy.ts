/**
 * Lazy copy-up as an option of the layers under test (`copyup=lazy`): the kernel does not know the
 * words, and mounts such an upper only when what was pending has been completed.
 */
import { randomBytes } from 'node:crypto';
import { parseOptions } from 'stratafs/internal/mount/parse-options';
import { openOverlay } from 'stratafs/internal/ops/open-overlay';
import { OverlayOps } from 'stratafs/internal/ops/overlay-ops';
import { errnoName } from 'stratafs/internal/sys/errno';
import type { Sys } from 'stratafs/internal/sys/sys';
import { type LayerDirs, optionText } from '../backend.ts';

/** Every file, however small, so that all that is played is played on stubs. */
export const LAZY: readonly string[] = ['copyup=lazy', 'copyup_threshold=1'];

export function isLazy({ options }: LayerDirs): boolean {
  return options.some((option) => option.startsWith('copyup='));
}

export function withoutLazy(layers: LayerDirs): LayerDirs {
  return { ...layers, options: layers.options.filter((option) => !option.startsWith('copyup')) };
}

/** Completes what is pending in an upper that is not mounted. */
export function completeLazy(sys: Sys, layers: LayerDirs): void {
  if (layers.upper === null) return;
  const { overlay } = parseOptions([optionText(layers)]);
  const ops = openOverlay(sys, overlay, {
    redirectDefault: 'follow',
    readOnly: false,
    aufsWhiteouts: false,
    log: (line) => console.error(line),
    cancelled: () => false,
    random: randomBytes,
  });
  if (!(ops instanceof OverlayOps)) throw new Error(`open: ${errnoName(ops.errno)} ${ops.message}`);
  ops.completeAll();
  ops.destroy();
}
