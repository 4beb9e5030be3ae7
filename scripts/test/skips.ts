// The skips that CI accepts: the table under "## Skips allowed on CI" of docs/testing.md, one row
// `| part | why |` each. Everything else must run there.

export interface AllowedSkip {
  /** A part of `FILE > NAME: REASON`. */
  part: string;
  why: string;
}

const heading = '## Skips allowed on CI';

/** The rows of the table in `markdown`; throws where the heading is missing, so that a renamed heading cannot allow anything. */
export function parseAllowedSkips(markdown: string): AllowedSkip[] {
  const lines = markdown.split('\n');
  const start = lines.indexOf(heading);
  if (start < 0) throw new Error(`docs/testing.md has no line "${heading}"`);
  const rows: AllowedSkip[] = [];
  for (const line of lines.slice(start + 1)) {
    if (line.startsWith('#')) break;
    const cells = /^\|\s*`(.+?)`\s*\|\s*(\S.*?)\s*\|$/.exec(line);
    if (cells) rows.push({ part: cells[1], why: cells[2] });
  }
  return rows;
}

export function isAllowed(skip: string, allowed: readonly AllowedSkip[]): boolean {
  return allowed.some(({ part }) => skip.includes(part));
}
