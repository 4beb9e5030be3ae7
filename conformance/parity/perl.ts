/**
 * What a printed script makes system calls by: a small Perl program (perl-base, which every Debian
 * has) with as much in it as the script's lines use. A line says its calls by their own names:
 *
 *     sys openat AT_FDCWD ./a 'O_RDWR|O_NONBLOCK' 0 , pwrite64 % 'C*500' 500 0
 *     slot 3 as 1000 2000 , openat AT_FDCWD ./a O_RDONLY 0
 *
 * `slot` leaves what was opened to the shell, as its descriptor 3: Perl takes the shell's place, and a
 * new shell that of Perl, which reads on where the first one stood.
 */
import * as c from 'stratafs/internal/sys/constants';

/** Of x86_64, and of all machines that came later. */
const numbers: Readonly<Record<string, readonly [number, number]>> = {
  openat: [257, 56],
  close: [3, 57],
  dup3: [292, 24],
  read: [0, 63],
  write: [1, 64],
  pread64: [17, 67],
  pwrite64: [18, 68],
  lseek: [8, 62],
  mmap: [9, 222],
  msync: [26, 227],
  munmap: [11, 215],
  ioctl: [16, 29],
  fcntl: [72, 25],
  flock: [73, 32],
  fsync: [74, 82],
  fdatasync: [75, 83],
  syncfs: [306, 267],
  truncate: [76, 45],
  ftruncate: [77, 46],
  fallocate: [285, 47],
  copy_file_range: [326, 285],
  renameat2: [316, 276],
  linkat: [265, 37],
  symlinkat: [266, 36],
  unlinkat: [263, 35],
  mkdirat: [258, 34],
  mknodat: [259, 33],
  readlinkat: [267, 78],
  fchmod: [91, 52],
  fchmodat: [268, 53],
  fchmodat2: [452, 452],
  fchownat: [260, 54],
  utimensat: [280, 88],
  faccessat2: [439, 439],
  statx: [332, 291],
  getdents64: [217, 61],
  lsetxattr: [189, 6],
  fsetxattr: [190, 7],
  lgetxattr: [192, 9],
  fgetxattr: [193, 10],
  llistxattr: [195, 12],
  flistxattr: [196, 13],
  lremovexattr: [198, 15],
  fremovexattr: [199, 16],
  inotify_init1: [294, 26],
  inotify_add_watch: [254, 27],
  name_to_handle_at: [303, 264],
  open_by_handle_at: [304, 265],
  prlimit64: [302, 261],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  setgroups: [116, 159],
  setfsuid: [122, 151],
  setfsgid: [123, 152],
  capget: [125, 90],
  capset: [126, 91],
};

interface Part {
  readonly perl: string;
  /** Calls and parts that it makes use of. */
  readonly needs?: readonly string[];
}

/** How what came beside a number is shown: of a call with this result and these arguments. */
const shown: Readonly<Record<string, Part>> = {
  read: { perl: '"$_[0]:" . runs(substr $_[2], 0, $_[0])', needs: ['runs'] },
  pread64: { perl: '"$_[0]:" . runs(substr $_[2], 0, $_[0])', needs: ['runs'] },
  readlinkat: { perl: '"to " . substr $_[3], 0, $_[0]' },
  lgetxattr: { perl: "$_[4] == 0 ? $_[0] : '= ' . unpack 'H*', substr $_[3], 0, $_[0]" },
  fgetxattr: { perl: "'= ' . unpack 'H*', substr $_[3], 0, $_[0]" },
  llistxattr: { perl: "'names ' . join ' ', sort split /\\0/, substr $_[2], 0, $_[0]" },
  getdents64: {
    perl: "'[' . join(' ', sort map { $_->[1] } records(substr $_[2], 0, $_[0])) . ']'",
    needs: ['records'],
  },
  statx: {
    perl: `do { my @s = unpack 'LLQLLLSx2QQQQ(qLx4)4', $_[5];
    sprintf 'found %x %o %d:%d %dl %dB %db mtime %d.%09d', @s[0, 6, 4, 5, 3, 8, 9, 17, 18] }`,
  },
};

/** What lines use beside plain calls. What begins with a capital letter is for other parts. */
const parts: Readonly<Record<string, Part>> = {
  runs: {
    perl: String.raw`# Bytes, equal ones together.
sub runs { my ($bytes, @runs) = @_; while ($bytes =~ /((.)\2*)/gs) { my ($run, $char) = ($1, $2); push @runs, length($run) . 'x' . ($char =~ /[!-~]/ ? $char : sprintf '%02x', ord $char) } join ' ', @runs }`,
  },
  records: {
    perl: String.raw`# Of a listing: position and name.
sub records { my ($bytes, @all) = @_; while (length $bytes) { my ($off, $len) = unpack 'x8qS', $bytes; push @all, [$off, unpack 'x19Z*', $bytes]; substr($bytes, 0, $len) = '' } @all }
sub rest { my ($fd, $room, @all) = @_; my $buf = "\0" x $room; while ((my $n = syscall $nr{getdents64}, $fd, $buf, $room) > 0) { push @all, records(substr $buf, 0, $n) } @all }`,
    needs: ['getdents64'],
  },
  as: {
    perl: String.raw`# This process alone acts for somebody: his filesystem ids, groups, and no capabilities.
my ($header, $all) = (pack('L2', 0x20080522, 0), "\0" x 24);
$call{as} = sub {
  my ($user, @groups) = ($_[0], split /,/, $_[1]);
  syscall $nr{capget}, $header, $all;
  my @some = unpack 'L6', $all;
  @some[0, 3] = (0, 0);
  become($user, @groups);
  syscall $nr{capset}, $header, my $none = pack 'L6', @some;
  push @last, sub { syscall $nr{capset}, $header, $all; become(0) };
  ();
};
sub become { my ($user, @groups) = @_; syscall $nr{setgroups}, scalar(@groups), my $list = pack 'L*', @groups; syscall $nr{setfsgid}, $user + 0; syscall $nr{setfsuid}, $user + 0 }`,
    needs: ['capget', 'capset', 'setgroups', 'setfsgid', 'setfsuid'],
  },
  umask: { perl: '$call{umask} = sub { my $old = umask oct $_[0]; push @last, sub { umask $old }; () };' },
  aligned: {
    perl: String.raw`# What O_DIRECT takes: bytes at a multiple of 4096.
sub aligned { my ($bytes) = @_; push @kept, my $room = \("\0" x (length($bytes) + 4096)); my $at = unpack 'J', pack 'P', $$room; my $skip = -$at % 4096; substr $$room, $skip, length $bytes, $bytes; $at + $skip }`,
  },
  alignedread: {
    perl: String.raw`$call{alignedread} = sub {
  my ($fd, $len, $off) = map { value($_) } @_;
  my $at = aligned("\0" x $len);
  my $r = syscall $nr{pread64}, $fd, $at, $len, $off;
  $r < 0 ? failed() : "$r:" . runs(unpack "P$r", pack 'J', $at);
};`,
    needs: ['aligned', 'runs', 'pread64'],
  },
  opened: {
    perl: `# Opened, used by one call, and closed again: PATH FLAGS CALL ARGUMENT...
$call{opened} = sub {
  my ($path, $flags, $name, @args) = @_;
  my $fd = syscall $nr{openat}, -100, $path, value($flags), 0;
  return failed() if $fd < 0;
  my @values = map { value($_) } @args;
  my $r = syscall $nr{$name}, $fd, @values;
  my $said = $r < 0 ? failed() : $r;
  syscall $nr{close}, $fd;
  $said;
};`,
    needs: ['openat', 'close'],
  },
  remove: {
    perl: `# A directory or anything else, by the call that fits.
$call{remove} = sub { my ($path) = @_; my $r = syscall $nr{unlinkat}, -100, $path, !-l $path && -d _ ? 0x200 : 0; $r < 0 ? failed() : $r };`,
    needs: ['unlinkat'],
  },
  position: {
    perl: `# lseek; what a directory's positions mean is its filesystem's.
$call{position} = sub { my ($fd, $off, $whence) = map { value($_) } @_; my $r = syscall $nr{lseek}, $fd, -d "/proc/self/fd/$fd" ? (0, 0) : ($off, $whence); $r < 0 ? failed() : $r };`,
    needs: ['lseek'],
  },
  linkfd: {
    perl: `# linkat by AT_EMPTY_PATH, or by /proc, for who may not do that.
$call{linkfd} = sub {
  my ($fd, $path, $none) = (value($_[0]), $_[1], '');
  my $r = syscall $nr{linkat}, $fd, $none, -100, $path, 0x1000;
  $r = syscall $nr{linkat}, -100, my $at = "/proc/self/fd/$fd", -100, $path, 0x400 if $r < 0 && $!{ENOENT};
  $r < 0 ? failed() : $r;
};`,
    needs: ['linkat'],
  },
  creat: {
    perl: '$call{creat} = sub { my $fd = syscall $nr{openat}, -100, $_[0], 0101, oct $_[1]; $fd < 0 ? failed() : syscall $nr{close}, $fd };',
    needs: ['openat', 'close'],
  },
  flags: {
    perl: String.raw`# chattr: +FLAGS, -FLAGS, or ^FLAGS, which turns them over.
$call{flags} = sub {
  my ($fd, $how, $which) = (value($_[0]), substr($_[1], 0, 1), hex substr $_[1], 1);
  my $word = "\0" x 8;
  my $r = syscall $nr{ioctl}, $fd, 0x80086601, $word;
  return failed() if $r < 0;
  my $old = unpack 'L', $word;
  my $new = pack 'LL', $how eq '+' ? $old | $which : $how eq '-' ? $old & ~$which : $old ^ $which, 0;
  sprintf '%x %s', $old, syscall($nr{ioctl}, $fd, 0x40086602, $new) < 0 ? failed() : 0;
};`,
    needs: ['ioctl'],
  },
  peek: {
    perl: String.raw`# The first bytes of a mapping of a file; of one that begins with a hole, none: looking would fill it on some filesystems.
$call{peek} = sub {
  my ($fd, $at, $len) = map { value($_) } @_;
  my $stood = syscall $nr{lseek}, $fd, 0, 1;
  my $hole = syscall $nr{lseek}, $fd, 0, 3;
  syscall $nr{lseek}, $fd, $stood, 0;
  return 'mapped -' if $hole != 0;
  my $room = "\0" x $len;
  my $r = syscall $nr{process_vm_readv}, $$ + 0, my $to = pack('PQ', $room, $len), 1, my $from = pack('QQ', $at, $len), 1, 0;
  'mapped ' . ($r < 0 ? failed() : runs(substr $room, 0, $r));
};`,
    needs: ['lseek', 'process_vm_readv', 'runs'],
  },
  poke: {
    perl: `# Stores through a mapping, but nothing between the end of the file and of its last page.
$call{poke} = sub {
  my ($fd, $at, $off, $bytes) = map { value($_) } @_;
  my $size = -s "/proc/self/fd/$fd" || 0;
  $bytes = substr $bytes, 0, $size > $off ? $size - $off : 0 if $off < int(($size + 4095) / 4096) * 4096;
  return 0 if $bytes eq '';
  my $r = syscall $nr{process_vm_writev}, $$ + 0, my $from = pack('PQ', $bytes, length $bytes), 1, my $to = pack('QQ', $at + $off, length $bytes), 1, 0;
  $r < 0 ? failed() : $r;
};`,
    needs: ['process_vm_writev'],
  },
  handle: {
    perl: String.raw`# Opens a file by its handle.
$call{handle} = sub {
  my ($path, $flags) = @_;
  my ($handle, $mount) = (pack('Ll', 128, 0) . "\0" x 128, "\0" x 4);
  my $r = syscall $nr{name_to_handle_at}, -100, $path, $handle, $mount, 0;
  return failed() if $r < 0;
  my $here = syscall $nr{openat}, -100, my $dot = '.', 0, 0;
  my $fd = syscall $nr{open_by_handle_at}, $here, $handle, value($flags);
  $fd < 0 ? failed() : 'opened ' . join ' ', map { sprintf '%o', $_ } (stat "/proc/self/fd/$fd")[2];
};`,
    needs: ['name_to_handle_at', 'openat', 'open_by_handle_at'],
  },
  events: {
    perl: String.raw`# What inotify tells: the masks of its events.
$call{events} = sub {
  my ($fd, $buf, @masks) = (value($_[0]), "\0" x 4096);
  my $n = syscall $nr{read}, $fd, $buf, 4096;
  return $!{EAGAIN} ? 'nothing' : failed() if $n < 0;
  for (my $at = 0; $at < $n; $at += 16 + unpack "x$at x12 L", $buf) { push @masks, sprintf '%x', unpack "x$at x4 L", $buf }
  "events @masks";
};`,
    needs: ['read'],
  },
  names: {
    perl: `# All that a directory still lists, by calls with so much room.
$call{names} = sub { '[' . join(' ', sort map { $_->[1] } rest(map { value($_) } @_)) . ']' };`,
    needs: ['records'],
  },
  seek: {
    perl: `# From a position in the middle: what follows.
$call{seek} = sub {
  my ($fd, $index, $room) = map { value($_) } @_;
  my @all = rest($fd, $room);
  my $from = $index % @all;
  my $r = syscall $nr{lseek}, $fd, $all[$from][0], 0;
  my @rest = rest($fd, $room);
  my $same = join('/', map { $_->[1] } @rest) eq join('/', map { $_->[1] } @all[$from + 1 .. $#all]);
  ($r < 0 ? failed() : 'sought') . ($same ? '' : ', and other entries follow') . ' [' . join(' ', sort map { $_->[1] } @all) . ']';
};`,
    needs: ['records', 'lseek'],
  },
  limit: {
    perl: String.raw`# RLIMIT_FSIZE of this process.
$call{limit} = sub {
  $SIG{XFSZ} = 'IGNORE';
  my $old = "\0" x 16;
  syscall $nr{prlimit64}, 0, 1, 0, $old;
  syscall $nr{prlimit64}, 0, 1, my $new = pack('QQ', value($_[0]), (unpack 'QQ', $old)[1]), 0;
  ();
};`,
    needs: ['prlimit64'],
  },
  size: { perl: `$call{size} = sub { $word{SIZE} = -s '/proc/self/fd/' . value($_[0]) || 0; () };` },
  whiteout: {
    perl: String.raw`# Has a call leave a whiteout at a name, and takes that away with what it marked; where whiteouts are refused, the plain call.
$call{whiteout} = sub {
  my ($dir, $name, $to, $mode) = (value($_[0]), @_[1, 2], value($_[3] || '0'));
  my $at = "/proc/self/fd/$dir/";
  my $make = sub { $to ne '' ? syscall $nr{renameat2}, $dir, $name, -100, $to, $_[0] ? 4 : 0 : syscall $nr{mknodat}, $dir, $name, ($_[0] ? 0x2000 : 0x1000) | $mode, 0 };
  my @unmarked = grep { my ($mark, $room) = ($_, "\0" x 300); syscall($nr{lgetxattr}, "$at.", $mark, $room, 300) < 0 } 'trusted.overlay.opaque', 'user.overlay.opaque';
  my $r = $make->(1);
  if ($r < 0 && ($!{EINVAL} || $!{EPERM})) {
    return failed() if $make->(0) < 0;
    return $to eq '' ? syscall $nr{unlinkat}, $dir, $name, 0 : 0 if $to eq '' || lstat "$at$name";
    syscall $nr{mknodat}, $dir, $name, 0x1000, 0;
    return syscall $nr{unlinkat}, $dir, $name, 0;
  }
  return failed() if $r < 0;
  my @st = lstat "$at$name";
  return 'kept' unless @st && $st[2] >> 12 == 2 && $st[6] == 0;
  $r = syscall $nr{unlinkat}, $dir, $name, 0;
  syscall $nr{lremovexattr}, "$at.", $_ for @unmarked;
  $r;
};`,
    needs: ['renameat2', 'mknodat', 'unlinkat', 'lgetxattr', 'lremovexattr'],
  },
};

/** Open flags that Arm numbers its own way. */
const ofArm: Readonly<Record<string, number>> = {
  O_DIRECTORY: 0o40000,
  O_NOFOLLOW: 0o100000,
  O_DIRECT: 0o200000,
  O_TMPFILE: 0o20040000,
};
const ofOthers: Readonly<Record<string, number>> = {
  O_DIRECTORY: 0o200000,
  O_NOFOLLOW: 0o400000,
  O_DIRECT: 0o40000,
  O_TMPFILE: 0o20200000,
};

const start = `#!/usr/bin/perl
# System calls by their own names, one after another: NAME ARGUMENT... , NAME ARGUMENT...
# % is the descriptor or address that was made last, %1 the first. C*500 is C 500 times, room:N room for N bytes.
my (@made, @kept, @said, @last, %call, %show);
my ($arm, $other) = (scalar $ENV{machine} =~ /^(arm|aarch64)/, $ENV{machine} ne 'x86_64');`;

const middle = String.raw`
sub value {
  my ($w) = @_;
  return $made[$1 eq '' ? -1 : $1 - 1] if $w =~ /^%(\d*)$/;
  return $w =~ /^0/ ? oct $w : $w + 0 if $w =~ /^-?\d/;
  if ($w =~ /^[A-Z][A-Z_0-9|]*$/) { my $sum = 0; $sum += $word{$_} for split /\|/, $w; return $sum }
  return $1 x $2 if $w =~ /^(.)\*(\d+)$/;
  return aligned($1 x $2) if $w =~ /^aligned:(.)\*(\d+)$/;
  return pack 'H*', $1 if $w =~ /^hex:(.*)$/;
  return pack $1, split /,/, $2 if $w =~ /^pack:(\w+):(.*)$/;
  return "\0" x $1 if $w =~ /^room:(\d+)$/;
  $w;
}
sub failed { for (sort keys %!) { return $_ eq 'ENOTSUP' ? 'EOPNOTSUPP' : $_ if $!{$_} } 'E?' }`;

const end = String.raw`
my $keep = $ARGV[0] eq 'slot' ? (splice @ARGV, 0, 2)[1] : -1;
my @words;
for (@ARGV, ',') {
  if ($_ ne ',') { push @words, $_; next }
  my ($name, @args) = splice @words;
  if ($call{$name}) { push @said, $call{$name}->(@args); next }
  my @values = map { value($_) } @args;
  my $r = syscall $nr{$name}, @values;
  if ($name =~ /^(openat|inotify_init1|mmap)$/) {
    if ($r == -1) { push @said, failed(); last }
    push @made, $r;
  } else {
    push @said, $r == -1 ? failed() : $show{$name} ? $show{$name}->($r, @values) : $r;
  }
}
print join(' ', @said ? @said : 0), "\n";
exit($said[0] =~ /^E/ ? 1 : 0) if $keep < 0;

$_->() for @last;
if (@made && !grep { /^E/ } @said) { syscall $nr{dup3}, $made[0], $keep, 0 if $made[0] != $keep; syscall $nr{close}, $made[0] if $made[0] != $keep }
else { syscall $nr{close}, $keep + 0 }
exec 'bash', '-s', 'stdin';`;

function uses(text: string, name: string): boolean {
  return new RegExp(`\\b${name}\\b`).test(text);
}

/** The program, for these lines of a script; none where they make no calls by it. */
export function program(lines: readonly string[]): string | null {
  const calling = lines.filter((line) => /\b(sys|slot) /.test(line)).join('\n');
  if (calling === '') {
    return null;
  }
  const slots = uses(calling, 'slot') ? ['dup3', 'close'] : [];
  const named = [...Object.keys(numbers), ...Object.keys(parts)].filter((name) => uses(calling, name));
  const needed = new Set<string>([...slots, ...named]);
  for (const name of needed) {
    for (const further of [...(parts[name]?.needs ?? []), ...(shown[name]?.needs ?? [])]) {
      needed.add(further);
    }
  }
  const calls = Object.entries(numbers).filter(([name]) => needed.has(name));
  const constants = Object.entries(c as Readonly<Record<string, unknown>>).filter(
    ([name, value]) => typeof value === 'number' && uses(calling, name),
  );
  const constant = ([name, value]: [string, unknown]): string =>
    `${name} => ${ofArm[name] === undefined ? value : `$arm ? ${ofArm[name]} : ${ofOthers[name]}`}`;
  return [
    start,
    `my %nr = (${calls.map(([name, [x86, other]]) => `${name} => $other ? ${other} : ${x86}`).join(', ')});`,
    `my %word = (${constants.map(constant).join(', ')});`,
    middle.slice(1),
    ...Object.entries(shown).flatMap(([name, { perl }]) =>
      needed.has(name) ? [`$show{${name}} = sub { ${perl} };`] : [],
    ),
    ...Object.entries(parts).flatMap(([name, { perl }]) => (needed.has(name) ? [perl] : [])),
    end.slice(1),
  ].join('\n');
}
