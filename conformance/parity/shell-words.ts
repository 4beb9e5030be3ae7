/** Words of shell scripts. */
import type { ByteString } from 'stratafs/internal/sys/bytes';

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

/** A path that no tool takes for an option. */
export function pathWord(path: ByteString): string {
  return word(path === '.' || path.startsWith('/') ? path : `./${path}`);
}

export function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

/** An xattr's value as setfattr takes it. */
export function hexWord(value: ByteString): string {
  return `0x${Buffer.from(value, 'latin1').toString('hex')}`;
}

/** `touch`'s time: seconds since 1970 and nanoseconds. */
export function timeWord(sec: number, nsec: number): string {
  return `@${sec}.${String(nsec).padStart(9, '0')}`;
}
