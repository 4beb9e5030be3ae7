/**
 * A byte string: every char stands for one byte (0..255), as Buffer's 'latin1' encoding has it.
 * File names, paths, xattr names and link targets are bytes to the kernel; a byte string keeps
 * them whole (a name need not be UTF-8), is cheap to build from a Buffer and works as a Map key.
 * Text for people passes through `fromText` and `toText` at the edges and nowhere else.
 */
export type ByteString = string;

/** The bytes of `text` in UTF-8, as a byte string. */
export function fromText(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** What a person reads: the bytes decoded as UTF-8 (a byte that is none shows as U+FFFD). */
export function toText(bytes: ByteString): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** The same bytes in a Buffer of their own. */
export function toBuffer(bytes: ByteString): Buffer {
  return Buffer.from(bytes, 'latin1');
}

/** The bytes of `buf` from `start` to `end` as a byte string. */
export function fromBuffer(buf: Buffer, start = 0, end: number = buf.length): ByteString {
  return buf.toString('latin1', start, end);
}

/** For a line that people read: control characters and bytes that are no UTF-8 are written as escapes. */
export function printable(bytes: ByteString): string {
  const text = toText(bytes);
  const whole = text.includes('\ufffd')
    ? bytes.replace(/[\x80-\xff]/g, (c) => `\\x${c.charCodeAt(0).toString(16)}`)
    : text;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not reach a terminal.
  return whole.replace(/[\x00-\x1f\x7f]/g, (c) => {
    const short = { '\n': '\\n', '\t': '\\t', '\r': '\\r' }[c];
    return short ?? `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}
