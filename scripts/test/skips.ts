// The skips that CI accepts: the table under "## Skips allowed on CI" of docs/testing.md, one row
// `| part of the test's full name | reason |` each. Everything else must run there.

export interface AllowedSkip {
  /** A part of the test's full name. */
  name: string;
  reason: string;
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
    if (cells) rows.push({ name: cells[1], reason: cells[2] });
  }
  return rows;
}

export function isAllowed(fullName: string, allowed: readonly AllowedSkip[]): boolean {
  return allowed.some((skip) => fullName.includes(skip.name));
}
