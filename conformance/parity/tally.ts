/** How often each kind of operation ran and how often it succeeded, and whether that says enough. */
const SHARE = 0.01;
const SUCCEEDING = 0.2;

export class Tally {
  readonly #counts = new Map<string, { count: number; succeeded: number }>();
  #total = 0;

  constructor(kinds: readonly string[]) {
    for (const kind of kinds) {
      this.#counts.set(kind, { count: 0, succeeded: 0 });
    }
  }

  add(kind: string, succeeded: boolean): void {
    const entry = this.#counts.get(kind)!;
    entry.count++;
    this.#total++;
    if (succeeded) {
      entry.succeeded++;
    }
  }

  /** Kinds that make up less than 1 % of the operations, or of which less than 20 % succeeded. */
  tooFew(): string[] {
    return [...this.#counts]
      .filter(([, { count, succeeded }]) => count < SHARE * this.#total || succeeded < SUCCEEDING * count)
      .map(([kind]) => kind);
  }

  table(): string {
    const percent = (part: number, whole: number): string => `${((100 * part) / Math.max(1, whole)).toFixed(1)}%`;
    return [...this.#counts]
      .map(([kind, { count, succeeded }]) =>
        [
          kind.padEnd(18),
          String(count).padStart(8),
          percent(count, this.#total).padStart(7),
          String(succeeded).padStart(8),
          percent(succeeded, count).padStart(7),
        ].join(' '),
      )
      .join('\n');
  }
}
