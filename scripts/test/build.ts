// Builds dist/ before the first test: tests spawn the commands, and spawned processes run the built code.
// A type error is `npm run typecheck`'s to report; tsc writes the code nevertheless.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export function setup(): void {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const tsc = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-b'], { cwd: root, stdio: 'inherit' });
  if (tsc.status !== 0) console.warn('tsc -b found errors: the tests run on what it could build');
}
