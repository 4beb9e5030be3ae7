/**
 * A case as a shell script (bash, coreutils, util-linux, attr) that needs nothing of ours: it
 * makes the lowers, mounts them with the kernel's overlay or with what MOUNT says, and plays the
 * operations. Calls that no tool makes are lines that begin with a colon, which do nothing.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { Stat } from 'stratafs/internal/sys/stat';
import type { Sys } from 'stratafs/internal/sys/sys';
import { groupsOf } from './caller.ts';
import type { Case, Found } from './case.ts';
import { listNames } from './directories.ts';
import { kinds } from './kinds/all.ts';
import { namesIn } from './kinds/attributes.ts';
import { CHECK, SWAP } from './match.ts';
import type { Mode } from './modes.ts';
import type { Operation } from './operation.ts';
import { hexWord, octal, pathWord, timeWord, word } from './shell-words.ts';

const head = `#!/bin/bash
# As root, in an empty directory. By the kernel: bash SCRIPT; by ours: MOUNT='strata mount --backend fuse' bash SCRIPT
by() { local user=$1 groups=$2; shift 2; setpriv --reuid "$user" --regid "$user" --groups "$groups" --inh-caps -all bash -c "$*"; }
`;

/** The lowers have to lie as the case left them. */
export function script(sys: Sys, mode: Mode, lowers: readonly ByteString[], small: Case, found: Found): string {
  const layers = lowers.flatMap((lower, i) => [`mkdir l${i}`, ...dump(sys, lower, `l${i}`)]);
  const options = ['upperdir=upper', 'workdir=work', ...mode.options].join(',');
  const mount = `\${MOUNT:-mount -t overlay overlay} -o lowerdir=${lowers.map((_, i) => `l${i}`).join(':')},${options} merged`;
  return [
    head + layers.join('\n'),
    `mkdir upper work merged\n${mount}\ncd merged || exit`,
    ...small.ops.map(shellLine),
    ...[`${found.mismatch.what}:`, ...found.mismatch.lines].map((line) => `# ${line}`),
    '',
  ].join('\n');
}

function shellLine(op: Operation): string {
  if (op.kind === CHECK) {
    return 'find . -printf "%p %M %U:%G %n %s %T@ %l\\n" | sort; getfattr -R -h -d -m - .';
  }
  if (op.kind === SWAP) {
    return '# Unmounted; each side mounts what the other has written.';
  }
  const line = kinds[op.kind].shell(op) ?? `: ${op.kind} ${word(JSON.stringify(op))}`;
  const masked = op.umask === 0 ? line : `umask ${octal(op.umask)}; ${line}`;
  if (line.startsWith('exec ') || line.startsWith(':') || (op.user === 0 && op.umask === 0)) {
    return op.user === 0 ? line : `${line} # by user ${op.user}`;
  }
  const groups = (groupsOf[op.user] ?? []).join(',');
  return op.user === 0
    ? `(umask ${octal(op.umask)}; ${line.replace(/ # .*$/, '')})`
    : `by ${op.user} ${groups} ${word(masked)}`;
}

/** Commands that make again what lies in `root`, below the directory `at`. */
function dump(sys: Sys, root: ByteString, at: ByteString): string[] {
  const made = new Map<bigint, ByteString>();
  const after: string[] = [];
  const lines: string[] = [];
  const walk = (dirfd: number, path: ByteString): void => {
    for (const name of listNames(sys, dirfd)) {
      const st = new Stat();
      sys.statx(dirfd, name, c.AT_SYMLINK_NOFOLLOW, st);
      const below = `${path}/${name}`;
      const first = made.get(st.ino);
      if (first !== undefined) {
        lines.push(`ln -P ${pathWord(first)} ${pathWord(below)}`);
        continue;
      }
      if (st.type !== c.S_IFDIR) {
        made.set(st.ino, below);
      }
      lines.push(...create(sys, dirfd, name, below, st), ...attributes(sys, dirfd, name, below, st));
      // A directory's mtime goes by what is made in it.
      after.unshift(`touch -hcd ${timeWord(st.mtime, st.mtimeNsec)} ${pathWord(below)}`);
      if (st.type === c.S_IFDIR) {
        const fd = sys.openat(dirfd, name, c.O_RDONLY | c.O_DIRECTORY | c.O_NOATIME, 0);
        walk(fd, below);
        sys.close(fd);
      }
    }
  };
  const fd = sys.openat(c.AT_FDCWD, root, c.O_RDONLY | c.O_DIRECTORY | c.O_NOATIME, 0);
  walk(fd, at);
  sys.close(fd);
  return [...lines, ...after];
}

function create(sys: Sys, dirfd: number, name: ByteString, path: ByteString, st: Stat): string[] {
  const shown = pathWord(path);
  switch (st.type) {
    case c.S_IFDIR:
      return [`mkdir ${shown}`];
    case c.S_IFLNK:
      return [`ln -s ${word(String(sys.readlinkat(dirfd, name)))} ${shown}`];
    case c.S_IFREG:
      return content(sys, dirfd, name, shown, st.size);
    case c.S_IFIFO:
      return [`mknod ${shown} p`];
    case c.S_IFSOCK:
      return [`: "mknod S_IFSOCK" ${shown}`];
    default: {
      const letter = st.type === c.S_IFCHR ? 'c' : 'b';
      return [`mknod ${shown} ${letter} ${(st.rdev >> 8) & 0xfff} ${(st.rdev & 0xff) | ((st.rdev >> 12) & 0xfff00)}`];
    }
  }
}

/** Layers hold one char many times, perhaps after a hole. */
function content(sys: Sys, dirfd: number, name: ByteString, shown: string, size: number): string[] {
  if (size === 0) {
    return [`: > ${shown}`];
  }
  const fd = sys.openat(dirfd, name, c.O_RDONLY | c.O_NOATIME, 0);
  const data = Math.max(0, sys.lseek(fd, 0, c.SEEK_DATA));
  const hole = sys.lseek(fd, 0, c.SEEK_DATA) < 0 ? size : data;
  const byte = Buffer.alloc(1, 'l');
  sys.pread(fd, byte, 0, 1, hole);
  sys.close(fd);
  const fill = `head -c ${size - hole} /dev/zero | tr '\\0' ${byte.toString('latin1')} >> ${shown}`;
  return [`truncate -s ${hole} ${shown}`, ...(hole < size ? [fill] : [])];
}

function attributes(sys: Sys, dirfd: number, name: ByteString, path: ByteString, st: Stat): string[] {
  const shown = pathWord(path);
  const lines: string[] = [];
  if (st.uid !== 0 || st.gid !== 0) {
    lines.push(`chown -h ${st.uid}:${st.gid} ${shown}`);
  }
  if (st.type !== c.S_IFLNK) {
    lines.push(`chmod ${octal(st.mode & 0o7777)} ${shown}`);
  }
  const buf = Buffer.alloc(65536);
  for (const xattr of namesIn(buf, Math.max(0, sys.listxattrat(dirfd, name, buf)))) {
    const value = Buffer.alloc(65536);
    const length = Math.max(0, sys.getxattrat(dirfd, name, xattr, value));
    // Handles are of this very filesystem; a lower's own origin means nothing to what is above it.
    if (!/^(trusted|user)\.overlay\.(origin|uuid)$/.test(xattr)) {
      const given = length === 0 ? '' : ` -v ${hexWord(value.toString('latin1', 0, length))}`;
      lines.push(`setfattr -h -n ${xattr}${given} ${shown}`);
    }
  }
  return lines;
}
