// `npm run lock`, after a change of dependencies: makes package-lock.json fit for `npm ci` of any npm,
// from any registry. It drops registry addresses, and adds the optional packages of other platforms
// that the registry at hand did not serve: npm 11 refuses a lock without them, though it would never
// install them. Their platform is read from their name (`@scope/thing-linux-arm64-musl`).
import fs from 'node:fs';

const systems = ['android', 'darwin', 'freebsd', 'linux', 'openbsd', 'openharmony', 'win32'];
const file = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(fs.readFileSync(file, 'utf8'));

for (const entry of Object.values(lock.packages)) {
  if (entry.resolved?.startsWith('http')) delete entry.resolved;
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`;
    if (lock.packages[key]) continue;
    const words = name.slice(name.indexOf('/') + 1).split('-');
    const at = words.findIndex((/** @type {string} */ word) => systems.includes(word));
    if (at < 0) throw new Error(`${name} ${version} is not in the lock, and its name tells no platform`);
    const libc = words.includes('musl')
      ? 'musl'
      : words.some((/** @type {string} */ w) => w.startsWith('gnu')) && 'glibc';
    lock.packages[key] = {
      version,
      cpu: [words[at + 1]],
      ...(entry.dev && { dev: true }),
      ...(libc && words[at] === 'linux' && { libc: [libc] }),
      optional: true,
      os: [words[at]],
    };
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
fs.writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
