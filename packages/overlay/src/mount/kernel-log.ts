/**
 * Why the kernel refused, in its own words. The descriptor of fsopen(2) answers with what concerns
 * single options; the overlay's checks of layers speak to the kernel log only, which the
 * privileged may read.
 */
import { type ByteString, fromBuffer, toText } from '../sys/bytes.ts';
import { AT_FDCWD, O_NONBLOCK, O_RDONLY, SEEK_END } from '../sys/constants.ts';
import { EPIPE } from '../sys/errno.ts';
import type { Sys } from '../sys/sys.ts';

/** Messages wait in the context one by one; each is `e text`, `w text` or `i text`. */
function contextLog(sys: Sys, context: number): string[] {
  const lines: string[] = [];
  const buf = Buffer.alloc(4096);
  for (let n = sys.read(context, buf, 0, buf.length); n > 0; n = sys.read(context, buf, 0, buf.length)) {
    lines.push(
      toText(fromBuffer(buf, 0, n))
        .trim()
        .replace(/^[ewi] (overlay: )?/, ''),
    );
  }
  return lines;
}

export interface KernelLog {
  /** What was said since the opening, one sentence a line. */
  read(): string[];
  close(): void;
}

/** Begins to listen. `context` is the descriptor of fsopen(2), or -1. */
export function openKernelLog(sys: Sys, context: number): KernelLog {
  const kmsg = sys.openat(AT_FDCWD, '/dev/kmsg', O_RDONLY | O_NONBLOCK, 0);
  if (kmsg >= 0) sys.lseek(kmsg, 0, SEEK_END);
  return {
    read: () => [...(context < 0 ? [] : contextLog(sys, context)), ...(kmsg < 0 ? [] : overlayRecords(sys, kmsg))],
    close: () => {
      if (kmsg >= 0) sys.close(kmsg);
    },
  };
}

/** One record a read: `priority,sequence,time,flags;text`, further lines begin with a space. */
function overlayRecords(sys: Sys, kmsg: number): string[] {
  const texts: string[] = [];
  const buf = Buffer.alloc(8192);
  for (;;) {
    const n = sys.read(kmsg, buf, 0, buf.length);
    // -EPIPE: records were overwritten before they were read; the next read goes on behind them.
    if (n === -EPIPE) continue;
    if (n <= 0) return texts;
    const record: ByteString = fromBuffer(buf, 0, n);
    const text = toText(record.slice(record.indexOf(';') + 1).split('\n')[0]);
    if (text.startsWith('overlayfs: ')) texts.push(text.slice('overlayfs: '.length));
  }
}
