/** Spans of time for people. */
const units: [seconds: number, name: string][] = [
  [86400 * 7, 'week'],
  [86400, 'day'],
  [3600, 'hour'],
  [60, 'minute'],
  [1, 'second'],
];

/** `ago(90_000)` is '1 minute ago'. */
export function ago(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  for (const [length, name] of units) {
    const count = Math.floor(seconds / length);
    if (count > 0) return `${count} ${name}${count === 1 ? '' : 's'} ago`;
  }
  return 'now';
}
