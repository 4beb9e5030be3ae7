/**
 * Files that run in a thread or process of their own: always the build, as Node 20 runs no
 * TypeScript. Each is there twice: as tsc wrote it, and bundled into one file, which starts quicker
 * (scripts/bundle.mjs). A bundle from before the last build is not taken.
 */
import fs from 'node:fs';

export function builtFile(name: 'main' | 'worker' | 'watcher'): URL {
  // From src/serve/, dist/serve/ or dist/bundle/.
  const dist = new URL(import.meta.url.endsWith('.ts') ? '../../dist/' : '../', import.meta.url);
  const bundled = new URL(`bundle/${name}.js`, dist);
  return writtenAt(bundled) >= writtenAt(new URL('.tsbuildinfo', dist)) ? bundled : new URL(`serve/${name}.js`, dist);
}

/** 0 for a file that is not there. */
function writtenAt(file: URL): number {
  return fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
