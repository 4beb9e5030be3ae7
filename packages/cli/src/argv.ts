/**
 * The arguments of this process as bytes. Node decodes argv as UTF-8 and loses what is none; the
 * kernel still has it in /proc/self/cmdline. This is the one place where that is put right: from
 * here on every argument is a byte string, through the option parser too, and becomes text again
 * only where a person reads it.
 */
import { readFileSync } from 'node:fs';
import { type ByteString, fromText, toText } from 'stratafs/internal/sys/bytes';

/** The bytes behind `argv`, which are the last of `cmdline`; where they do not fit together, `argv` as UTF-8. */
export function recoverBytes(argv: readonly string[], cmdline: Buffer): ByteString[] {
  const all = cmdline.toString('latin1').split('\0');
  // Every argument ends in a NUL, the last one too.
  all.pop();
  const mine = argv.length === 0 ? [] : all.slice(-argv.length);
  const fits = mine.length === argv.length && argv.every((arg, i) => toText(mine[i]) === arg);
  return fits ? mine : argv.map(fromText);
}

/** `argv` is what `process.argv` ends in. */
export function byteArguments(argv: readonly string[]): ByteString[] {
  if (!argv.some((arg) => arg.includes('\ufffd'))) return argv.map(fromText);
  try {
    return recoverBytes(argv, readFileSync('/proc/self/cmdline'));
  } catch {
    return argv.map(fromText);
  }
}
