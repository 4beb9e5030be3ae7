/** A temporary directory for each test of a file, with a descriptor of it, removed afterwards. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from '../../src/sys/constants.ts';
import type { Sys } from '../../src/sys/sys.ts';

export interface TempDir {
  /** Absolute. */
  path: string;
  /** An O_RDONLY descriptor. */
  fd: number;
  /** The absolute path of `name` in it. */
  at(name: string): string;
}

export function useTempDir(sys: Sys): TempDir {
  const dir: TempDir = { path: '', fd: -1, at: (name) => path.join(dir.path, name) };
  beforeEach(() => {
    dir.path = mkdtempSync(path.join(tmpdir(), 'stratafs-'));
    dir.fd = sys.openat(AT_FDCWD, dir.path, O_RDONLY | O_DIRECTORY, 0);
  });
  afterEach(() => {
    sys.close(dir.fd);
    // Node's rmSync cannot remove trees that are deeper than a path may be long.
    execFileSync('rm', ['-rf', dir.path]);
  });
  return dir;
}

export const isRoot: boolean = process.geteuid?.() === 0;

/** The name of a suite that needs root: says so where it is skipped. */
export function needsRoot(title: string): string {
  return isRoot ? title : `${title} (skipped: not root)`;
}
