/** How far the completion of copy-ups is, on stderr: one line that is rewritten on a terminal, else one at the beginning and one at the end. */
import { formatBytes } from './bytes.ts';
import { say } from './streams.ts';

/** Between two lines on a terminal. */
const EVERY_MS = 100;

export interface Done {
  files: number;
  bytes: number;
}

export class HydrationProgress {
  private readonly all: Done;
  private shown = 0;

  constructor(all: Done) {
    this.all = all;
    if (!process.stderr.isTTY) say(`completing ${describe(all)}`);
  }

  at(done: Done): void {
    const now = Date.now();
    if (!process.stderr.isTTY || now - this.shown < EVERY_MS) return;
    this.shown = now;
    const percent = Math.min(100, Math.floor((100 * done.bytes) / Math.max(1, this.all.bytes)));
    process.stderr.write(`\rcompleting ${describe(this.all)}: ${percent} % `);
  }

  end(done: Done & { failed: number }): void {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
    const left = done.failed > 0 ? `, ${done.failed} cannot be completed` : '';
    say(`completed ${describe(done)}${left}`);
  }
}

function describe({ files, bytes }: Done): string {
  return `${files} ${files === 1 ? 'copy-up' : 'copy-ups'} (${formatBytes(bytes)})`;
}
