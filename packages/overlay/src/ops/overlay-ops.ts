/**
 * `OverlayOps`: the operation contract on one union. Each method turns nodeids and handle numbers
 * into the engine's objects, makes one call in overlay/, and keeps the counts. It checks no rights:
 * the kernel has (FUSE with default_permissions), or PermittedOps in front of it does.
 *
 * The methods stand by topic in overlay-names.ts, overlay-attrs.ts, overlay-files.ts and overlay-dirs.ts, each of which
 * extends the one before it, and what they share in overlay-state.ts; here is what concerns the union as a whole.
 */
import * as files from '../overlay/file.ts';
import { completeAll, hydrate, pendingOf } from '../overlay/lazy-complete.ts';
import { settle } from '../overlay/left-whiteout.ts';
import type { Super } from '../overlay/super.ts';
import { volatileStatus } from '../overlay/volatile.ts';
import type { ByteString } from '../sys/bytes.ts';
import { EPERM } from '../sys/errno.ts';
import type { HydrationStep } from './hydration.ts';
import type { Caller, Ops } from './ops.ts';
import { OverlayDirs } from './overlay-dirs.ts';

export class OverlayOps extends OverlayDirs implements Ops {
  readonly defaultPermissions: boolean = true;
  /** Lazy copy-ups that could not be completed since somebody asked what is pending. */
  private readonly unhydrated = new Map<ByteString, number>();

  /**
   * `maxFiles`: how many files may be open, so that descriptors are left to look and list with;
   * `lowerPassthrough`: lower files may be read past us although somebody may write to them.
   */
  constructor(sb: Super, maxFiles: number = Number.POSITIVE_INFINITY, lowerPassthrough = false) {
    super(sb, maxFiles, lowerPassthrough);
  }

  hydrate(caller: Caller, budget: number, out: HydrationStep): number {
    if (caller.uid !== 0 && caller.uid !== this.sb.hooks.uid) return -EPERM;
    if (budget === 0) {
      this.unhydrated.clear();
      Object.assign(out, pendingOf(this.sb));
    } else {
      const { copied, completed, done } = hydrate(this.sb, budget, this.unhydrated);
      Object.assign(out, { bytes: copied, files: completed, done });
    }
    out.failed = this.unhydrated.size;
    return 0;
  }

  /** Completes lazy copy-ups, as far as it can be done and nobody says stop. */
  completeAll(): void {
    completeAll(this.sb);
  }

  syncfs(): number {
    if (!this.sb.upper || this.sb.config.readOnly) return 0;
    return volatileStatus(this.sb, true) ?? this.sb.upper.syncfs();
  }

  destroy(): void {
    for (const handle of this.files.all()) files.close(handle);
    settle(this.sb, this.sb.root);
    this.sb.destroy();
  }
}
