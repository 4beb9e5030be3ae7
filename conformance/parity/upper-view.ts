/**
 * A store as it lies on disk: the whole upper, the index, what is left in `work`. Compared are
 * types, modes, owners, sizes, link counts, contents, times and every xattr, the overlay's own
 * among them. What is written down by what it means, not by its bytes:
 *
 *   - a handle of the upper's own inodes (`overlay.upper`): the path that it leads to
 *   - the uuid, which is random: that there is one
 *   - link counts of whiteouts: the kernel makes them links of one inode, as it pleases
 *
 * The whiteout that others are links of, by whatever name it has in `work` (or `index`), is left out.
 * Handles of lowers (origins, names of index entries) are the same bytes on both sides.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { Stat } from 'stratafs/internal/sys/stat';
import type { Sys } from 'stratafs/internal/sys/sys';
import { readable } from '../expect.ts';
import type { Entry, Snapshot } from '../snapshot.ts';
import { listNames } from './directories.ts';
import type { Store } from './pair.ts';
import { said } from './turn.ts';
import { addContent, addFlags, addXattrs, timeText, type Yardstick } from './view.ts';

/** In the bytes of a handle xattr: where its header ends and the filesystem's own handle begins. */
const HEADER = 21;

export class UpperView {
  readonly #sys: Sys;
  readonly #yard: Yardstick;
  readonly #buf: Buffer = Buffer.alloc(70_000);
  readonly #entries = new Map<ByteString, Entry>();
  /** Paths in the upper by their handles. */
  readonly #handles = new Map<string, ByteString>();

  constructor(sys: Sys, store: Store, yard: Yardstick) {
    this.#sys = sys;
    this.#yard = yard;
    this.#tree(store.upper, 'upper', true);
    this.#tree(`${store.work}/index`, 'index', false);
    this.#tree(`${store.work}/work`, 'work', false);
  }

  get snapshot(): Snapshot {
    // One in each: where there are more, they were left behind.
    const spare = new Set(['work', 'index'].flatMap((dir) => this.#whiteoutIn(dir) ?? []));
    return new Map(
      [...this.#entries].filter(([path]) => !spare.has(path)).map(([path, entry]) => [path, this.#meaning(entry)]),
    );
  }

  #whiteoutIn(dir: string): ByteString | undefined {
    return [...this.#entries].find(([path, entry]) => path.startsWith(`${dir}/#`) && isWhiteout(entry))?.[0];
  }

  #tree(root: ByteString, shown: ByteString, handles: boolean): void {
    const fd = this.#sys.openat(c.AT_FDCWD, root, c.O_RDONLY | c.O_DIRECTORY, 0);
    if (fd >= 0) {
      this.#entries.set(shown, this.#describe(fd, ''));
      this.#walk(fd, shown, handles);
      this.#sys.close(fd);
    }
  }

  #walk(dirfd: number, path: ByteString, handles: boolean): void {
    const sys = this.#sys;
    if (handles) {
      this.#remember(dirfd, '', path);
    }
    for (const name of listNames(sys, dirfd)) {
      const below = `${path}/${name}`;
      const fd = sys.openat(dirfd, name, c.O_RDONLY | c.O_DIRECTORY | c.O_NOFOLLOW, 0);
      if (fd < 0) {
        this.#entries.set(below, this.#describe(dirfd, name));
        continue;
      }
      this.#entries.set(below, this.#describe(fd, ''));
      this.#walk(fd, below, handles);
      sys.close(fd);
    }
  }

  #remember(dirfd: number, name: ByteString, path: ByteString): void {
    const handle = this.#sys.nameToHandleAt(dirfd, name, c.AT_EMPTY_PATH);
    if (typeof handle !== 'number') {
      this.#handles.set(handle.handle.toString('hex'), path);
    }
  }

  #describe(dirfd: number, name: ByteString): Entry {
    const sys = this.#sys;
    const st = new Stat();
    const found = sys.statx(dirfd, name, name === '' ? c.AT_EMPTY_PATH : c.AT_SYMLINK_NOFOLLOW, st);
    if (found < 0) {
      return { error: said(found) };
    }
    const entry: Record<string, string> = {
      mode: st.mode.toString(8),
      owner: `${st.uid}:${st.gid}`,
      mtime: timeText(this.#yard, st.mtime, st.mtimeNsec),
    };
    if (st.type !== c.S_IFDIR) {
      entry.nlink = String(st.nlink);
      entry.size = String(st.size);
      entry.blocks = String(st.blocks);
      entry.rdev = String(st.rdev);
    }
    if (st.type === c.S_IFREG) {
      addContent(sys, dirfd, name, this.#buf, entry);
    } else if (name === '') {
      addFlags(sys, dirfd, entry);
    } else if (st.type === c.S_IFLNK) {
      const target = sys.readlinkat(dirfd, name);
      entry.target = typeof target === 'number' ? said(target) : readable(target);
    }
    addXattrs(sys, dirfd, name, this.#buf, entry);
    return entry;
  }

  #meaning(entry: Entry): Entry {
    const out: Record<string, string> = { ...entry };
    if (isWhiteout(entry)) {
      delete out.nlink;
      // Made once and linked many times: by whom, and so when, is nobody's business.
      delete out.mtime;
    }
    for (const key of Object.keys(out)) {
      if (/^xattr (trusted|user)\.overlay\.uuid$/.test(key)) {
        out[key] = /^[0-9a-f]{32}$/.test(out[key]) ? 'a uuid' : out[key];
      } else if (/^xattr (trusted|user)\.overlay\.upper$/.test(key)) {
        out[key] = `${out[key].slice(0, 10)} of ${this.#handles.get(out[key].slice(2 * HEADER)) ?? 'nothing'}`;
      }
    }
    return out;
  }
}

/** The uuid of a union with this upper, in hex; '' for none. It is random, and stays. */
export function uuidOf(sys: Sys, { upper }: Store): string {
  const value = Buffer.alloc(64);
  for (const prefix of ['trusted', 'user']) {
    const length = sys.getxattrat(c.AT_FDCWD, upper, `${prefix}.overlay.uuid`, value);
    if (length >= 0) return value.toString('hex', 0, length);
  }
  return '';
}

function isWhiteout(entry: Entry): boolean {
  return entry.rdev === '0' && entry.mode?.length === 5 && entry.mode.startsWith('2');
}
