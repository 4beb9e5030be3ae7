/** Another overlay program with fuse-overlayfs' command line: `PROGRAM -f -o OPTIONS MERGED`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { toText } from 'stratafs/internal/sys/bytes';
import { type Backend, optionText } from '../backend.ts';
import { check } from '../expect.ts';
import { mountedView } from './mounted.ts';

const START_MS = 10_000;

export function program(path: string): Backend {
  return {
    name: 'fuse',
    unavailable: (base) => (base.privileged ? null : base.reason),
    async mount(sys, layers) {
      const merged = toText(layers.merged);
      const before = statSync(merged).dev;
      const child = spawn(path, ['-f', '-o', optionText(layers), merged], { stdio: ['ignore', 'ignore', 'inherit'] });
      const ended = once(child, 'close');
      for (let waited = 0; statSync(merged).dev === before; waited += 10) {
        if (child.exitCode !== null || waited > START_MS) {
          child.kill('SIGKILL');
          throw new Error(`set-up: ${path} does not mount`);
        }
        await sleep(10);
      }
      return mountedView(sys, layers.merged, async () => {
        check(sys.umount2(layers.merged, 0), `umount ${layers.merged}`);
        await ended;
      });
    },
  };
}
