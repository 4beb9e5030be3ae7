/** Words of shell scripts. */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';

/** One word, quoted if need be. Bytes that are no plain ASCII are written by $'…' (bash, and any later sh). */
export function word(text: ByteString): string {
  if (/^[\w./:@%+=,-]+$/.test(text) && !text.startsWith('-')) {
    return text;
  }
  if (/^[\x20-\x7e]*$/.test(text)) {
    return `'${text.replaceAll("'", `'\\''`)}'`;
  }
  return `$'${text.replace(/[\\']|[^\x20-\x7e]/g, (char) => (char === '\\' || char === "'" ? `\\${char}` : `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`))}'`;
}

/** A path that no tool takes for an option, nor perl.ts for a number. */
export function at(path: ByteString): ByteString {
  return path === '.' || path.startsWith('/') ? path : `./${path}`;
}

export function pathWord(path: ByteString): string {
  return word(at(path));
}

/** A system call with its arguments, as perl.ts takes them. */
export type Call = readonly (string | number)[];

/** System calls one after another. */
export function calls(...all: readonly Call[]): string {
  return `sys ${callWords(all)}`;
}

export function callWords(all: readonly Call[]): string {
  return all.map((call) => call.map((part) => word(String(part))).join(' ')).join(' , ');
}

/** Bits that have no name here. */
export function hex(bits: number): string {
  return `0x${bits.toString(16)}`;
}

const openFlags: readonly (readonly [number, string])[] = [
  [c.O_TMPFILE, 'O_TMPFILE'],
  [c.O_CREAT, 'O_CREAT'],
  [c.O_EXCL, 'O_EXCL'],
  [c.O_TRUNC, 'O_TRUNC'],
  [c.O_APPEND, 'O_APPEND'],
  [c.O_NONBLOCK, 'O_NONBLOCK'],
  [c.O_DIRECTORY, 'O_DIRECTORY'],
  [c.O_NOFOLLOW, 'O_NOFOLLOW'],
  [c.O_DIRECT, 'O_DIRECT'],
  [c.O_PATH, 'O_PATH'],
  [c.O_NOATIME, 'O_NOATIME'],
];

/** Opens `path` as the runner does (turn.ts): a FIFO does not block. `flags` as open(2) spells them. */
export function opening(path: ByteString, flags: number, mode = 0): Call {
  const words = [['O_RDONLY', 'O_WRONLY', 'O_RDWR', 'O_RDWR'][flags & c.O_ACCMODE]];
  let rest = (flags | c.O_NONBLOCK) & ~c.O_ACCMODE;
  for (const [bit, name] of openFlags) {
    if ((rest & bit) === bit) {
      words.push(name);
      rest &= ~bit;
    }
  }
  if (rest !== 0) words.push(hex(rest));
  return ['openat', 'AT_FDCWD', at(path), words.join('|'), octal(mode)];
}

/** Bytes: one char many times. */
export function filled(char: string, len: number): string {
  return `${char}*${len}`;
}

export function octal(mode: number): string {
  return `0${mode.toString(8).padStart(3, '0')}`;
}

/** An xattr's value as setfattr takes it. */
export function hexWord(value: ByteString): string {
  return `0x${Buffer.from(value, 'latin1').toString('hex')}`;
}

/** `touch`'s time: seconds since 1970 and nanoseconds. */
export function timeWord(sec: number, nsec: number): string {
  return `@${sec}.${String(nsec).padStart(9, '0')}`;
}

/** A buffer. */
export function room(len: number): string {
  return `room:${len}`;
}

/** Any bytes. */
export function bytes(value: ByteString): string {
  return `hex:${Buffer.from(value, 'latin1').toString('hex')}`;
}
