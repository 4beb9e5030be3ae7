/**
 * A backend shows layers as one tree: the kernel's overlay, our FUSE mount, our engine in this
 * process. stage.ts prepares the layers and asks one to mount them.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import type { Sys } from 'stratafs/internal/sys/sys';
import type { BaseDir } from './base-dir.ts';
import type { Door, TargetName } from './target.ts';

export interface LayerDirs {
  /** The first on top. */
  lowers: readonly ByteString[];
  /** How many of them, from the last on, are data-only. */
  dataLayers?: number;
  /** null: a read-only union. */
  upper: ByteString | null;
  work: ByteString;
  /** Where a mount goes; empty, and of no use to an engine in this process. */
  merged: ByteString;
  /** Further mount options as mount(8) spells them (`redirect_dir=on`). */
  options: readonly string[];
}

/** A door with an end: descriptors that a case left open are closed by it. */
export interface OpenDoor extends Door {
  end(): void;
}

export interface View {
  /** A door on a directory of the union, by its path from the root ('' is the root). */
  door(path: ByteString): OpenDoor;
  close(): Promise<void>;
}

export interface Backend {
  readonly name: Exclude<TargetName, 'plain'>;
  /** Why it cannot run here, or null. */
  unavailable(base: BaseDir): string | null;
  /** @returns the view, or a negative errno where the layers cannot be mounted. */
  mount(sys: Sys, layers: LayerDirs): Promise<View | number>;
}

/** The `-o` text; paths of test layers hold nothing that needs an escape. */
export function optionText(layers: LayerDirs): string {
  const upper = layers.upper === null ? [] : [`upperdir=${layers.upper}`, `workdir=${layers.work}`];
  const merged = layers.lowers.length - (layers.dataLayers ?? 0);
  const lowerdir = [layers.lowers.slice(0, merged).join(':'), ...layers.lowers.slice(merged)].join('::');
  return [`lowerdir=${lowerdir}`, ...upper, ...layers.options].join(',');
}

/** How the overlay's own xattrs begin on the layers of a mount with these options. */
export function marksPrefix(options: readonly string[]): ByteString {
  return options.includes('userxattr') ? 'user.overlay.' : 'trusted.overlay.';
}
