// The runnable examples of a Markdown page: fenced blocks marked ```sh run, each with what it
// prints where a ```text block follows it. conformance/interop/readme.test.ts runs them.

export interface Example {
  /** The line of the page where the script begins, from 1. */
  line: number;
  script: string;
  /** What stdout has to be; undefined where the page does not say. */
  output?: string;
}

export function examplesOf(markdown: string): Example[] {
  const examples: Example[] = [];
  const lines = markdown.split('\n');
  let open: { info: string; start: number } | null = null;
  let last: Example | null = null;
  lines.forEach((line, i) => {
    const fence = /^```(.*)$/.exec(line);
    if (!fence) {
      if (!open && line.trim() !== '') last = null;
      return;
    }
    if (!open) {
      open = { info: fence[1], start: i + 1 };
      return;
    }
    const text = lines
      .slice(open.start, i)
      .map((part) => `${part}\n`)
      .join('');
    if (open.info === 'sh run') {
      last = { line: open.start + 1, script: text };
      examples.push(last);
    } else if (open.info === 'text' && last) {
      last.output = text;
      last = null;
    } else last = null;
    open = null;
  });
  if (open) throw new Error(`line ${(open as { start: number }).start}: the block is never closed`);
  return examples;
}
