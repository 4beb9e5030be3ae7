// The arrows of docs/architecture.md as data, and the judgement of one file's imports against them.
// Pure: reading files is check-layers.mjs, finding the import specifiers is imports.mjs.
//
// A room is a folder of packages/overlay/src. Test files may import any room of their own package
// (they put real things together), but obey the arrows between packages like everything else.
import path from 'node:path';

/**
 * Packages by folder name: which npm packages of this repository each may import.
 * @type {Record<string, string[]>}
 */
const packageArrows = {
  overlay: [],
  image: ['stratafs'],
  cli: ['stratafs', '@stratafs/image'],
};

/** sys/ without its system calls: what code that must not touch the system may still use. */
const pureSys = ['sys/bytes', 'sys/stat', 'sys/constants', 'sys/errno'];

/**
 * Rooms of the overlay package: the rooms, or single files of rooms, that each may import.
 * @type {Record<string, string[]>}
 */
const roomArrows = {
  sys: [],
  layer: ['sys'],
  overlay: ['layer', ...pureSys],
  // sys/sys is the type of the table of system calls: ops/open-overlay hands one on to the layers.
  ops: ['overlay', 'layer', 'sys/sys', ...pureSys],
  fuse: ['ops', 'sys'],
  'node-fs': ['ops', ...pureSys],
  mount: ['sys', 'overlay/params'],
  diff: ['overlay', 'layer', 'sys'],
  check: ['overlay', 'layer', 'sys'],
  // The composition root: puts a mount together out of all the rooms.
  serve: ['sys', 'layer', 'overlay', 'ops', 'fuse', 'mount', 'diff', 'check', 'node-fs'],
};

/** Rooms that reach the system through the layers below them only, never through Node's own modules. */
const roomsWithoutNode = ['layer', 'overlay', 'ops', 'fuse'];
const systemModules = ['fs', 'fs/promises', 'child_process', 'net', 'dgram', 'http', 'https'];

/** @param {string} file */
const isTest = (file) => /\.test\.m?ts$/.test(file) || !/^packages\/[^/]+\/src\//.test(file);

/**
 * @typedef {{ package: string, room: string, module: string }} Place
 * `room` is '' for files at the root of src/; `module` is the path below src/ without its extension.
 */

/**
 * @param {string} file a path from the root of the repository
 * @returns {Place | null} null where the file is in no package's src/
 */
export function placeOf(file) {
  const match = /^packages\/([^/]+)\/src\/(.+?)(?:\.test)?\.m?ts$/.exec(file);
  if (!match) return null;
  const slash = match[2].indexOf('/');
  return { package: match[1], room: slash < 0 ? '' : match[2].slice(0, slash), module: match[2] };
}

/**
 * @param {string} file a path from the root of the repository
 * @param {string} specifier what stands in its import
 * @returns {string | null} what is wrong with the import, or null
 */
export function judge(file, specifier) {
  if (specifier.startsWith('.')) return judgeRelative(file, specifier);
  const place = placeOf(file);
  if (specifier === 'koffi' || specifier.startsWith('koffi/')) {
    return place?.package === 'overlay' && place.room === 'sys' ? null : 'koffi belongs to sys/ alone';
  }
  const own = /^(stratafs|@stratafs\/[^/]+)(?:\/internal\/(.+))?/.exec(specifier);
  if (own) return judgePackage(file, own[1], own[2] ?? '');
  const builtin = specifier.replace(/^node:/, '');
  if (place?.package === 'overlay' && !isTest(file) && systemModules.includes(builtin)) {
    if (roomsWithoutNode.includes(place.room))
      return `${place.room}/ reaches the system through its Layer or sys/, not through ${specifier}`;
  }
  return null;
}

/** @param {string} file @param {string} specifier */
function judgeRelative(file, specifier) {
  const from = placeOf(file);
  if (!from) return null;
  const target = path.posix.join(path.posix.dirname(file), specifier);
  const to = placeOf(target);
  if (!to || to.package !== from.package) {
    // Tests beside the sources may use the repository's own test support; sources stay in their package.
    return to || !isTest(file) ? `${specifier} leaves the package: import it by its name` : null;
  }
  if (from.package !== 'overlay' || isTest(file) || from.room === '' || to.room === from.room) return null;
  const allowed = roomArrows[from.room];
  if (!allowed) return `${from.room}/ is no room of docs/architecture.md`;
  if (allowed.includes(to.room) || allowed.includes(to.module)) return null;
  return `${from.room}/ may not import ${to.module} (it may: ${allowed.join(', ') || 'nothing'})`;
}

/** @param {string} file @param {string} name @param {string} internal */
function judgePackage(file, name, internal) {
  const from = placeOf(file);
  if (!from) return null;
  const allowed = packageArrows[from.package] ?? [];
  if (!allowed.includes(name)) return `packages/${from.package} may not import ${name}`;
  if (internal.startsWith('serve/') && from.package !== 'cli' && !isTest(file))
    return 'only the commands and tests import serve/';
  return null;
}
