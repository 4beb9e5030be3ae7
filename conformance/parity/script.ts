/**
 * A case as a shell script that needs nothing of ours, but what every Debian has (bash, coreutils, util-linux,
 * attr, perl-base): it makes the lowers, mounts them with the kernel's overlay or with what MOUNT says, and
 * plays the operations. Every line makes the very call; what no tool calls so, Perl does (perl.ts).
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { Stat } from 'stratafs/internal/sys/stat';
import type { Sys } from 'stratafs/internal/sys/sys';
import { groupsOf } from './caller.ts';
import type { Case, Found } from './case.ts';
import { listNames } from './directories.ts';
import { DISK_SIZE, type Filesystem, mkfsOptions } from './filesystems.ts';
import { kinds } from './kinds/all.ts';
import { namesIn } from './kinds/attributes.ts';
import { CHECK, SWAP } from './match.ts';
import type { Mode } from './modes.ts';
import type { Operation } from './operation.ts';
import { MADE } from './pair.ts';
import { program } from './perl.ts';
import { calls, hexWord, octal, pathWord, timeWord, word } from './shell-words.ts';

const head = `#!/bin/bash
# As root, in an empty directory, which was one of a tmpfs. By the kernel: bash SCRIPT; by ours: MOUNT='strata mount --backend fuse' bash SCRIPT`;

/** A shell that reads the script from its standard input can be taken over by another (\`slot\`). */
const start = '[ "$1" = stdin ] || exec bash -s stdin < "$0"';

/** As root of a user namespace, to which somebody outside has to give its users. */
const startInUserns = `if [ "$1" != stdin ]; then
  {
    while [ "$(readlink /proc/$$/ns/user)" = "$(readlink /proc/self/ns/user)" ]; do sleep 0.1; done
    for map in uid_map gid_map; do echo 0 0 65536 > /proc/$$/$map; done
  } &
  exec unshare --user --mount bash -c 'until read -r _ < /proc/self/gid_map; do sleep 0.1; done; exec bash -s stdin' < "$0"
fi
mount -t tmpfs -o mode=755 tmpfs . && cd "$PWD"`;

const by = `by() { local user=$1 groups=$2; shift 2; setpriv --reuid "$user" --regid "$user" --groups "$groups" --inh-caps -all bash -c "$*" < /dev/null; }
export -f by`;

/** The program lies beside the layers. */
const sysAndSlot = `sys() { perl "$calls" "$@" < /dev/null; }
# Opens with any flags, as a descriptor of the shell; a new shell reads on from here.
slot() { exec perl "$calls" slot "$@"; }
export -f sys slot; export calls=$PWD/calls.pl machine=$(uname -m)`;

/** The lowers have to lie as the case left them. @param file the same case, for `--replay` */
export function script(
  sys: Sys,
  mode: Mode,
  lowers: readonly ByteString[],
  small: Case,
  found: Found,
  file: string,
): string {
  const disks = mode.lowersOn.map((kind, i) => ({ kind, at: `fs${i}` }));
  const upperDisk = { kind: mode.upperOn, at: 'fs' };
  const placed = lowers.map((_, i) => `${below(disks[i % disks.length])}l${i}`);
  const layers = lowers.flatMap((lower, i) => [`mkdir ${placed[i]}`, ...dump(sys, lower, placed[i])]);
  const [upper, work] = ['upper', 'work'].map((name) => below(upperDisk) + name);
  const options = [`lowerdir=${placed.join(':')}`, `upperdir=${upper}`, `workdir=${work}`, ...mode.options].join(',');
  const swaps = small.ops.some(({ kind }) => kind === SWAP);
  const mount = `\${MOUNT:-mount -t overlay overlay} -o ${options} merged`;
  const again = `# Mounted again; in the run each side went on with what the other had written: npm run parity -- --replay ${file}
again() { cd ..; exec ${[3, 4, 5, 6, 7, 8].map((fd) => `${fd}<&-`).join(' ')}; umount merged; for _ in {1..50}; do ${mount} && break; sleep 0.1; done; cd merged || exit; }
export -f again`;
  const lines = small.ops.map(shellLine);
  return [
    head,
    mode.userns === true ? startInUserns : start,
    ...[...disks, upperDisk].flatMap(made),
    setUp([...layers, ...lines]),
    ...layers,
    `mkdir ${upper} ${work} merged; chmod 777 ${upper}; touch -d @${MADE} ${upper}`,
    ...(swaps ? [again] : []),
    `${mount} || exit`,
    'cd merged || exit',
    ...lines,
    ...[`${found.mismatch.what}:`, ...found.mismatch.lines].map((line) => `# ${line}`),
    '',
  ].join('\n');
}

interface Disk {
  readonly kind: Filesystem;
  readonly at: string;
}

function below({ kind, at }: Disk): string {
  return kind === 'base' ? '' : `${at}/`;
}

function made({ kind, at }: Disk): string[] {
  switch (kind) {
    case 'base':
      return [];
    case 'tmpfs':
      return [`mkdir ${at} && mount -t tmpfs -o mode=755 tmpfs ${at}`];
    default:
      return [
        `mkdir ${at} && truncate -s ${DISK_SIZE} ${at}.img && mkfs.${kind} ${mkfsOptions(kind).join(' ')} ${at}.img && mount -o loop ${at}.img ${at}`,
      ];
  }
}

/** What these lines call beside programs. */
export function setUp(lines: readonly string[]): string {
  const calling = program(lines);
  return [
    ...(lines.some((line) => line.startsWith('by ')) ? [by] : []),
    ...(calling === null ? [] : [`cat > calls.pl <<'END'\n${calling}\nEND\n${sysAndSlot}`]),
  ].join('\n');
}

/** One operation, by whom and with the umask that it says. */
export function shellLine(op: Operation): string {
  if (op.kind === CHECK) {
    return 'find . -printf "%p %M %U:%G %n %s %T@ %l\\n" | sort; getfattr -R -h -d -m - .';
  }
  if (op.kind === SWAP) {
    return 'again';
  }
  const line = kinds[op.kind].shell(op);
  const groups = (groupsOf[op.user] ?? []).join(',');
  const calling = /^(sys|slot \d) /.exec(line)?.[0];
  if (calling !== undefined) {
    const umask = op.umask === 0 ? '' : `umask ${octal(op.umask)} , `;
    const user = op.user === 0 ? '' : `as ${op.user} ${groups} , `;
    return calling + user + umask + line.slice(calling.length);
  }
  const masked = op.umask === 0 ? line : `umask ${octal(op.umask)}; ${line}`;
  if (op.user === 0 || line.startsWith('exec ')) {
    return op.umask === 0 || line.startsWith('exec ') ? line : `(${masked})`;
  }
  return `by ${op.user} ${groups} ${word(masked)}`;
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
      after.unshift(
        `touch -hcmd ${timeWord(st.mtime, st.mtimeNsec)} ${pathWord(below)}; touch -hcad ${timeWord(st.atime, st.atimeNsec)} ${pathWord(below)}`,
      );
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
      return [calls(['mknodat', 'AT_FDCWD', `./${path}`, octal(c.S_IFSOCK | 0o600), 0])];
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
