/**
 * A `Sys` that writes one line for each call, as strace(1) would: its name, its arguments decoded,
 * its result with the errno's name and what it filled in. `print` turns one call into text and is
 * pure, so that a recorded call can be printed later too.
 */
import { callArguments, type SysCall, wrapSys } from './calls.ts';
import { errnoName } from './errno.ts';
import type { Stat, StatFs } from './stat.ts';
import type { Sys } from './sys.ts';
import { printScalar, printStat, printStatFs, quote, quoteBytes } from './trace-values.ts';

/** @param sink receives each line, without a newline, after the call. */
export function traceSys(inner: Sys, sink: (line: string) => void): Sys {
  return wrapSys(inner, (name, args, call) => {
    const result = call(args);
    sink(printCall(name, args, result));
    return result;
  });
}

/** `openat(AT_FDCWD, "a", O_RDONLY, 0) = -ENOENT` */
export function printCall(name: SysCall, args: readonly unknown[], result: unknown): string {
  const kinds = callArguments[name];
  const shown: string[] = [];
  const filledBytes = typeof result === 'number' ? Math.max(0, result) : 0;
  args.forEach((arg, i) => {
    switch (kinds[i]) {
      case 'bufferOffset':
        return;
      case 'stat':
        shown.push(result === 0 ? printStat(arg as Stat) : '…');
        return;
      case 'statfs':
        shown.push(result === 0 ? printStatFs(arg as StatFs) : '…');
        return;
      case 'room':
        shown.push(quoteBytes(arg as Uint8Array, args[i + 1] as number, filledBytes));
        return;
      case 'data':
        shown.push(quoteBytes(arg as Uint8Array, args[i + 1] as number, args[i + 2] as number));
        return;
      case 'filled':
        shown.push(quoteBytes(arg as Uint8Array, 0, filledBytes), String((arg as Uint8Array).byteLength));
        return;
      case 'value':
        shown.push(quoteBytes(arg as Uint8Array, 0, (arg as Uint8Array).byteLength));
        return;
      default:
        shown.push(printScalar(kinds[i], arg));
    }
  });
  return `${name}(${shown.join(', ')}) = ${printResult(result)}`;
}

function printResult(result: unknown): string {
  if (typeof result === 'number') return result < 0 ? `-${errnoName(result)}` : String(result);
  if (typeof result === 'string') return quote(result);
  if (Array.isArray(result)) return `[${result.join(', ')}]`;
  const { type, handle, mountId } = result as { type: number; handle: Buffer; mountId: number };
  return `{type=${type}, handle=${handle.toString('hex')}, mount=${mountId}}`;
}
