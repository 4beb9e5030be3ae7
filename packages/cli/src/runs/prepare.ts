/** The folders of a new run: an upper whose root looks like the directory that it will stand on, and its work. */
import { show } from 'stratafs/internal/mount/paths';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import { AT_EMPTY_PATH, AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, W_OK } from 'stratafs/internal/sys/constants';
import { errnoName } from 'stratafs/internal/sys/errno';
import { Stat } from 'stratafs/internal/sys/stat';
import type { Sys } from 'stratafs/internal/sys/sys';
import { CliError } from '../cli-error.ts';
import type { RunRecord, RunStore } from './record.ts';

/** @throws CliError. */
export function prepareLayers(sys: Sys, store: RunStore, record: RunRecord): void {
  for (const name of record.directory === '/' ? ['upper', 'work', 'root'] : ['upper', 'work']) {
    const path = store.path(record.id, name);
    const err = sys.mkdirat(AT_FDCWD, path, 0o700);
    if (err < 0) throw new CliError(125, `${show(path)} cannot be made: ${errnoName(err)}`);
  }
  likeDirectory(sys, record.directory, store.path(record.id, 'upper'));
}

/** The root of a union shows the attributes of its upper. */
function likeDirectory(sys: Sys, directory: ByteString, upper: ByteString): void {
  const from = sys.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY, 0);
  const to = sys.openat(AT_FDCWD, upper, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  const st = new Stat();
  if (from >= 0 && to >= 0 && sys.fstat(from, st) >= 0) {
    copyXattrs(sys, from, to);
    const owned = sys.fchownat(to, '', st.uid, st.gid, AT_EMPTY_PATH) >= 0;
    // Of somebody else's directory the user becomes the owner here, without more rights than before.
    const mayWrite = sys.faccessat(AT_FDCWD, directory, W_OK, 0) >= 0;
    sys.fchmod(to, owned ? st.mode & 0o7777 : (st.mode & 0o077) | (mayWrite ? 0o700 : 0o500));
    sys.utimensat(to, '', st.atime, st.atimeNsec, st.mtime, st.mtimeNsec, AT_EMPTY_PATH);
  }
  for (const fd of [from, to]) if (fd >= 0) sys.close(fd);
}

/** Those that this user may set; an overlay's own notes stay where they are. */
function copyXattrs(sys: Sys, from: number, to: number): void {
  const size = sys.flistxattr(from, Buffer.alloc(0));
  if (size <= 0) return;
  const names = Buffer.alloc(size);
  const listed = sys.flistxattr(from, names);
  if (listed <= 0) return;
  for (const name of names.toString('latin1', 0, listed).split('\0')) {
    if (name === '' || /^(trusted|user)\.overlay\./.test(name)) continue;
    const value = Buffer.alloc(65536);
    const length = sys.fgetxattr(from, name, value);
    if (length >= 0) sys.fsetxattr(to, name, value.subarray(0, length), 0);
  }
}
