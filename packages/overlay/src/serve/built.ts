/**
 * Files that run in a thread or process of their own: always the build, as Node 20 runs no
 * TypeScript. Beside this module when it is built itself; in dist/ when the sources run (tests).
 */
export function builtFile(name: 'main' | 'worker' | 'watcher'): URL {
  const below = import.meta.url.endsWith('.ts') ? '../../dist/serve/' : './';
  return new URL(`${below}${name}.js`, import.meta.url);
}
