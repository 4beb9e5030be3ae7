/** `strata doctor`: the report of mount/probe.ts for people, or as JSON. */
import { show } from 'stratafs/internal/mount/paths';
import { type HostReport, probeHost } from 'stratafs/internal/mount/probe';
import { type ByteString, fromText } from 'stratafs/internal/sys/bytes';
import { AT_FDCWD, F_OK, O_DIRECTORY, O_PATH } from 'stratafs/internal/sys/constants';
import { ENOENT, errnoName } from 'stratafs/internal/sys/errno';
import type { Sys } from 'stratafs/internal/sys/sys';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { CliError } from '../cli-error.ts';
import { formatBytes } from '../output/bytes.ts';
import { print, printJson } from '../output/streams.ts';
import { storeRoot } from '../root.ts';
import type { DefineVerb } from '../verb.ts';

interface Flags {
  json?: boolean;
  root?: ByteString;
}

export const doctor: DefineVerb = (command, globals) => {
  command
    .description('Say what this host can do for unions, and which backend would be chosen, and why.')
    .argument('[directory]', 'where uppers would lie (default: the store root)')
    .option('--root <DIR>', 'the store root')
    .option('--json', 'as JSON (schema strata.doctor/1)')
    .addHelpText('after', '\nExamples:\n  strata doctor\n  strata doctor --json /var/lib/containers')
    .action((directory: ByteString | undefined, flags: Flags) => {
      const sys = openSys();
      if (directory !== undefined) checkDirectory(sys, directory);
      const report = probeHost(sys, directory ?? existing(sys, storeRoot(sys, flags.root ?? globals.root).path));
      if (flags.json) printJson(report);
      else print(fromText(lines(report)));
    });
};

/** A verdict on what is not there would be one on nothing. @throws CliError. */
function checkDirectory(sys: Sys, path: ByteString): void {
  const fd = sys.openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
  if (fd < 0) throw new CliError(1, `${show(path)} is no directory that can be looked at: ${errnoName(fd)}`);
  sys.close(fd);
}

/** The nearest folder above that is there: what will be made lies on its filesystem. */
function existing(sys: Sys, path: ByteString): ByteString {
  const slash = path.lastIndexOf('/');
  if (slash <= 0 || sys.faccessat(AT_FDCWD, path, F_OK, 0) !== -ENOENT) return path;
  return existing(sys, path.slice(0, slash));
}

/** yes, no, or that it could not be tried. */
function answer(value: boolean | null): string {
  return value === null ? 'not tried' : value ? 'yes' : 'no';
}

function lines(r: HostReport): string {
  const d = r.directory;
  const ns = r.userNamespaces;
  const headroom = d.freeBytes === null ? '' : `, ${formatBytes(d.freeBytes)} free${inodes(d)}`;
  const rows: [string, string][] = [
    ['kernel', r.kernel],
    ['node', r.node],
    ['user', userLine(r)],
    ['kernel overlay', overlayLine(r)],
    ['/dev/fuse', deviceLine(r)],
    ['fuse passthrough', answer(r.fuse.passthrough)],
    ['user namespaces', ns.usable ? `yes (at most ${ns.max})` : `no: ${ns.obstacle}`],
    ['unshare(1)', ns.unshare ?? 'missing (package util-linux)'],
    ['newuidmap(1)', ns.newuidmap ?? 'missing (package uidmap)'],
    [
      'directory',
      `${show(fromText(d.path))} on ${d.filesystem ?? 'nothing'}${d.network ? ' (network)' : ''}${headroom}`,
    ],
  ];
  if (d.error !== null) rows.push(['', `nothing could be tried in it: ${d.error}`]);
  rows.push(
    ['  trusted xattrs', answer(d.trustedXattrs)],
    ['  user xattrs', answer(d.userXattrs)],
    ['  d_type', answer(d.dType)],
    ['  whiteouts', answer(d.whiteouts)],
    ['  RENAME_WHITEOUT', answer(d.renameWhiteout)],
    ['  O_TMPFILE', answer(d.tmpfile)],
    ['  reflink', answer(d.reflink)],
    ['strata mount', `${r.mount.backend ?? 'cannot'}: ${r.mount.reason}`],
    ['strata run', `${r.run.backend ?? 'cannot'}: ${r.run.reason}`],
  );
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}   ${value}\n`).join('');
}

function userLine(r: HostReport): string {
  const where = r.user.initialUserNamespace ? '' : ' in a user namespace';
  return `uid ${r.user.uid}${where}, ${r.user.sysAdmin ? 'may mount' : 'may not mount by itself'}`;
}

function overlayLine(r: HostReport): string {
  if (r.overlay.mountable) return 'yes';
  const rootless = r.overlay.unprivileged ? ' (in a user namespace it can be mounted)' : '';
  return `${r.overlay.available ? 'there, but' : 'no:'} ${r.overlay.obstacle}${rootless}`;
}

function deviceLine(r: HostReport): string {
  switch (r.fuse.device) {
    case 'usable':
      return 'can be opened';
    case 'missing':
      return 'missing (modprobe fuse)';
    case 'forbidden':
      return 'may not be opened by this user (it is mode 0666 on most systems: chmod 666 /dev/fuse)';
    case 'not loaded':
      return 'there, but the kernel has no FUSE (modprobe fuse)';
  }
}

function inodes(d: HostReport['directory']): string {
  if (!d.inodes || d.freeInodes === null) return '';
  return `, ${Math.floor((100 * d.freeInodes) / d.inodes)} % of the inodes free`;
}
