/**
 * A real root filesystem: Debian's minbase, made by mmdebstrap with the
 * host's apt, kept as a tar in the temporary folder so that a second run need not make it again.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { run } from './sandbox.ts';

const keepMs = 7 * 24 * 3600 * 1000;

/** The release that this machine runs; the tests need no other. */
function codename(): string {
  return /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'bookworm';
}

/** @returns the path of a tar of a minimal Debian */
export async function debianTar(): Promise<string> {
  const dir = path.join(tmpdir(), `strata-rootfs-${process.getuid?.()}`);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const tar = path.join(dir, `${codename()}-minbase.tar`);
  // The mirror moves on; after a week apt-get would have more to upgrade than to install.
  if (existsSync(tar) && Date.now() - statSync(tar).mtimeMs < keepMs) return tar;
  const part = `${tar}.${process.pid}`;
  const args = ['--variant=minbase', '--format=tar', codename(), part];
  let made = await run('mmdebstrap', args, { timeoutMs: 600_000 });
  if (made.code !== 0) made = await run('mmdebstrap', args, { timeoutMs: 600_000 });
  if (made.code !== 0) throw new Error(`mmdebstrap ended with ${made.code}:\n${made.stderr.slice(-2000)}`);
  utimesSync(part, new Date(), new Date());
  renameSync(part, tar);
  return tar;
}
