/** Columns as docker prints them: a heading in capitals, three spaces between, nothing behind the last. */
import { type ByteString, toText } from 'stratafs/internal/sys/bytes';

/** Cells are byte strings; a control character in one would break the line and is shown as `?`. */
export function formatTable(heading: readonly string[], rows: readonly (readonly ByteString[])[]): ByteString {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced.
  const clean = rows.map((row) => row.map((cell) => cell.replace(/[\x00-\x1f\x7f]/g, '?')));
  const widths = heading.map((title, i) => Math.max(title.length, ...clean.map((row) => width(row[i]))));
  const lines = [heading, ...clean].map((row) =>
    row
      .map((cell, i) => cell + ' '.repeat(widths[i] - width(cell)))
      .join('   ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}

/** Characters, not bytes. */
function width(cell: ByteString): number {
  return [...toText(cell)].length;
}
