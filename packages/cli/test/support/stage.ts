/** A folder for a test, and the mount namespace in which tests that mount run. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { mountAt, parseMountinfo } from 'stratafs/internal/mount/mountinfo';
import { mayUseTrustedXattrs } from 'stratafs/internal/mount/privilege';
import { fromText } from 'stratafs/internal/sys/bytes';
import { CLONE_NEWNS, MNT_DETACH, MS_BIND, MS_PRIVATE, MS_REC } from 'stratafs/internal/sys/constants';
import { openSys } from 'stratafs/internal/sys/sys-koffi';

/** Root that may mount; in a container it often may not. */
export const root: boolean = mayUseTrustedXattrs(openSys());
export const hasFuse: boolean = fs.existsSync('/dev/fuse');
/** An ordinary user, whether there is an account or not. */
export const ORDINARY = 64321;

let entered = false;

/**
 * Moves this process, and what it spawns from now on, to a mount namespace of its own: nothing
 * that is mounted here stays. /dev/fuse is open to everybody in it, as it is on most systems.
 */
export function enterMountNamespace(): void {
  if (entered || !root) return;
  entered = true;
  const sys = openSys();
  must(sys.unshare(CLONE_NEWNS));
  must(sys.mount('none', '/', '', MS_PRIVATE | MS_REC, null));
  if (!hasFuse) return;
  const node = path.join(os.tmpdir(), `strata-fuse-${process.pid}`);
  must(sys.mknodat(-100, node, 0o020666, (10 << 8) | 229));
  fs.chmodSync(node, 0o666);
  must(sys.mount(node, '/dev/fuse', '', MS_BIND, null));
  fs.unlinkSync(node);
}

function must(result: number): void {
  if (result < 0) throw new Error(`setting the stage failed: errno ${-result}`);
}

export class Stage {
  readonly top: string;

  constructor() {
    this.top = fs.mkdtempSync(path.join(os.tmpdir(), 'strata-cli-'));
    fs.chmodSync(this.top, 0o755);
  }

  at(...names: string[]): string {
    return path.join(this.top, ...names);
  }

  dir(...names: string[]): string {
    const dir = this.at(...names);
    fs.mkdirSync(dir, { recursive: true });
    return dir;
  }

  put(name: string, content: string = name): string {
    const file = this.at(name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, content);
    return file;
  }

  read(name: string): string {
    return fs.readFileSync(this.at(name), 'utf8');
  }

  /** Everything below, with types, modes, owners, times and contents: equal when nothing was touched. */
  snapshot(name: string): string[] {
    const top = this.at(name);
    const names = ['.', ...(fs.readdirSync(top, { recursive: true }) as string[])].sort();
    return names.map((entry) => {
      const file = path.join(top, entry);
      const st = fs.lstatSync(file, { bigint: true });
      const content = st.isFile() ? fs.readFileSync(file, 'latin1') : st.isSymbolicLink() ? fs.readlinkSync(file) : '';
      return `${entry} ${st.mode.toString(8)} ${st.uid}:${st.gid} ${st.mtimeNs} ${content}`;
    });
  }

  /** The mount table's lines for mount points below this folder. */
  mounts(): string[] {
    return fs
      .readFileSync('/proc/self/mountinfo', 'latin1')
      .split('\n')
      .filter((line) => line.includes(` ${this.top}`));
  }

  /** Type of what is mounted at `name`. */
  fstype(name: string): string | undefined {
    const table = parseMountinfo(fs.readFileSync('/proc/self/mountinfo', 'latin1'));
    return mountAt(table, fromText(this.at(name)))?.fstype;
  }

  /** Processes whose command line has to do with this folder, but this one. */
  processes(): string[] {
    const found: string[] = [];
    for (const pid of fs.readdirSync('/proc')) {
      if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
      try {
        const line = fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
        if (line.includes(this.top)) found.push(`${pid} ${line}`);
      } catch {
        // It ended in the meantime.
      }
    }
    return found;
  }

  destroy(): void {
    const sys = openSys();
    for (const entry of parseMountinfo(fs.readFileSync('/proc/self/mountinfo', 'latin1')).reverse()) {
      if (entry.mountPoint.startsWith(fromText(this.top))) sys.umount2(entry.mountPoint, MNT_DETACH);
    }
    fs.rmSync(this.top, { recursive: true, force: true });
  }
}
