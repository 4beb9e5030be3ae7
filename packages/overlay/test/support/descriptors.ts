/** What a process has open (proc_pid_fd(5)). */
import fs from 'node:fs';

/** What each descriptor of `pid` leads to. One that is closed meanwhile, as a server does at work, is none. */
export function openFilesOf(pid: number): string[] {
  return fs.readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return fs.readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  });
}
