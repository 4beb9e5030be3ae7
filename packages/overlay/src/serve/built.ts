/**
 * Files that run in a thread or process of their own: always the build, as Node 20 runs no
 * TypeScript. Each is there twice: as tsc wrote it, and bundled into one file, which starts quicker
 * (scripts/bundle.mjs). A bundle from before the last build is not taken.
 */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

export function builtFile(name: 'main' | 'worker' | 'copy-thread'): URL {
  // This module may itself be in a bundle, of another package.
  const dist = import.meta.url.endsWith('.ts')
    ? new URL('../../dist/', import.meta.url)
    : new URL('../', pathToFileURL(createRequire(import.meta.url).resolve('stratafs/internal/serve/main')));
  const bundled = new URL(`bundle/${name}.cjs`, dist);
  const at = writtenAt(bundled);
  const fresh = at > 0 && at >= writtenAt(new URL('.tsbuildinfo', dist));
  return fresh ? bundled : new URL(`serve/${name}.js`, dist);
}

/** 0 for a file that is not there. */
function writtenAt(file: URL): number {
  return fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
