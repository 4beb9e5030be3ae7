/**
 * System calls that a FUSE filesystem is never asked about and that `Sys` has no word for: perl makes them, which every
 * Debian has. They belong to the row "What Linux answers for a FUSE file itself" of docs/differences.md.
 */
import * as e from 'stratafs/internal/sys/errno';
import { vfs } from '../calls.ts';
import { equal, fails, skip, truly } from '../expect.ts';
import type { OverlayCases } from '../overlay-case.ts';
import type { Door } from '../target.ts';
import { dir, file } from '../tree.ts';

const NUMBERS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  x64: { epoll_create1: 291, epoll_ctl: 233, statx: 332, fanotify_init: 300, fanotify_mark: 301 },
  arm64: { epoll_create1: 20, epoll_ctl: 21, statx: 291, fanotify_init: 262, fanotify_mark: 263 },
};

const STATX_DIOALIGN = 0x2000;
/** FAN_MARK_ADD | FAN_MARK_FILESYSTEM. */
const ADD_FILESYSTEM = 0x101;
const FAN_REPORT_FID = 0x200;
const FAN_MODIFY = 2;
const AT_FDCWD = -100;

/** What `script` prints, which calls the system by `call('NAME', ...)` and gets the result or the negative errno. */
function perl(m: Door, script: string): string {
  const numbers = NUMBERS[process.arch];
  if (numbers === undefined) skip(`the numbers of system calls on ${process.arch} are not known`);
  const pairs = Object.entries(numbers).map(([name, number]) => `${name} => ${number}`);
  const whole = `my %n = (${pairs.join(', ')});
    sub call { my $n = $n{shift()}; my $r = syscall($n, @_); return $r < 0 ? -$! : $r }
    ${script}`;
  const said = vfs(m).elsewhere(`
    const { spawnSync } = await import('node:child_process');
    const { error, stdout, stderr } = spawnSync('perl', ['-e', ${JSON.stringify(whole)}], { encoding: 'latin1' });
    process.stdout.write(error ? 'missing' : stdout + stderr);`);
  if (said === 'missing') skip('needs perl');
  return said;
}

export const rareCallCases: OverlayCases = {
  'epoll takes a file by FUSE, which every other filesystem refuses': {
    lowers: [{ f: file('content') }],
    needs: ['vfs'],
    run(m, t) {
      const said = perl(
        m,
        `open my $f, '<', 'f'; my $event = pack('Lx4Q', 1, 0);
         print call('epoll_ctl', call('epoll_create1', 0), 1, fileno($f), $event) + 0;`,
      );
      equal(said, t.target === 'fuse' ? '0' : String(-e.EPERM));
    },
  },
  'statx tells nothing of O_DIRECT by FUSE': {
    lowers: [{ f: file('content') }],
    needs: ['vfs'],
    run(m, t) {
      const said = perl(
        m,
        `my ($path, $statx) = ('f', "\\0" x 256);
         call('statx', ${AT_FDCWD}, $path, 0, ${STATX_DIOALIGN}, $statx) == 0 or die;
         print unpack('L', $statx) & ${STATX_DIOALIGN};`,
      );
      // The kernel's overlay tells what the layer's filesystem does, and not all of them do.
      truly(['0', String(STATX_DIOALIGN)].includes(said), said);
      if (t.target === 'fuse') equal(said, '0');
    },
  },
  'a fanotify mark of the whole filesystem that asks for handles': {
    lowers: [{ d: dir() }],
    needs: ['root', 'vfs'],
    run(m, t) {
      const said = perl(
        m,
        `my $path = 'd';
         print call('fanotify_mark', call('fanotify_init', ${FAN_REPORT_FID}, 0), ${ADD_FILESYSTEM}, ${FAN_MODIFY}, ${AT_FDCWD}, $path);`,
      );
      fails(t.target === 'fuse' ? e.ENODEV : e.EOPNOTSUPP, Number(said));
    },
  },
};
