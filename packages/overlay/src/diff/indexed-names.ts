/**
 * Names that an upper changes without holding them: with the index, a change to one name of a lower
 * hard link is a change to all. Which they are, only the listings of the merged directories tell, so
 * the tree is walked where the index has an entry with more names than the upper has; else not at all.
 */
import { Dentry, type RawDirent } from '../layer/layer.ts';
import type { Found } from '../overlay/found.ts';
import { DirInode } from '../overlay/inode.ts';
import { lookupLayers } from '../overlay/lookup.ts';
import { unionNlink } from '../overlay/nlink.ts';
import { decodeOrigin } from '../overlay/origin.ts';
import { list } from '../overlay/readdir.ts';
import type { Super } from '../overlay/super.ts';
import type { ByteString } from '../sys/bytes.ts';
import { DT_DIR, S_IFCHR, S_IFDIR } from '../sys/constants.ts';
import { Stat } from '../sys/stat.ts';

/** By directory (`''` is the root): the names in it to look at, directories on the way included. */
export type NamesByDirectory = ReadonlyMap<ByteString, ReadonlySet<ByteString>>;

/** `skip`: a directory that is not looked into. @returns the names, or a negative errno. */
export function indexedNames(sb: Super, skip: (found: Found) => boolean): NamesByDirectory | number {
  const names = new Map<ByteString, Set<ByteString>>();
  const inodes = uncovered(sb);
  if (typeof inodes === 'number' || inodes.size === 0) return typeof inodes === 'number' ? inodes : names;
  const add = (directory: ByteString, name: ByteString): void => {
    const known = names.get(directory);
    if (known) {
      known.add(name);
      return;
    }
    names.set(directory, new Set([name]));
    const slash = directory.lastIndexOf('/');
    if (slash >= 0) add(directory.slice(0, slash), directory.slice(slash + 1));
  };
  const todo: [path: ByteString, dir: DirInode][] = [['', new DirInode(sb.root.upper, sb.root.lowers)]];
  for (let next = todo.pop(); next; next = todo.pop()) {
    const [path, dir] = next;
    const listing = list(sb, dir);
    if (typeof listing === 'number') return listing;
    const { entries, upper } = listing;
    for (let i = 0; i < entries.count; i++) {
      const name = entries.name(i);
      if (entries.type(i) !== DT_DIR) {
        const ofLower = upper === null || upper[i] === 0;
        if (ofLower && inodes.has(entries.ino(i))) add(path, name);
        continue;
      }
      const found = lookupLayers(sb, dir, name, new Stat());
      if (typeof found === 'number') return found;
      if (found?.isDir && !skip(found)) todo.push([`${path}/${name}`, new DirInode(found.upper, found.lowers)]);
    }
  }
  return names;
}

/** The lower inodes, by the numbers that are shown, of entries with names that are not in the upper. */
function uncovered(sb: Super): Set<bigint> | number {
  const inodes = new Set<bigint>();
  const dir = sb.indexDir;
  if (dir === null) return inodes;
  const names: RawDirent[] = [];
  const err = dir.layer.readdir(dir, names);
  if (err < 0) return err;
  const st = new Stat();
  const lower = new Stat();
  for (const { name } of names) {
    const origin = decodeOrigin(Buffer.from(name, 'hex'));
    if (origin === null || typeof origin === 'number') continue;
    if (dir.layer.lookup(dir, name, st) < 0 || st.type === S_IFDIR || (st.type === S_IFCHR && st.rdev === 0)) continue;
    const layer = sb.layerByUuid(origin.uuid);
    if (!layer || layer.handleIno({ type: origin.type, handle: origin.handle }, lower) < 0) continue;
    const inUpper = st.nlink - 1;
    const all = unionNlink(sb, new Dentry(dir.layer, dir, name), st.nlink, lower.nlink, inUpper);
    if (all > inUpper) inodes.add(sb.mapIno(sb.fsNumber(layer), lower.ino));
  }
  return inodes;
}
