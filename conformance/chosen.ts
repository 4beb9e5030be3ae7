/**
 * `STRATA_CASES`, a regular expression, plays only the cases whose names it finds: planting and
 * comparing all of them takes minutes, which somebody who works on one does not have.
 */
const only: RegExp | null = process.env.STRATA_CASES ? new RegExp(process.env.STRATA_CASES) : null;

export function chosen<T>(cases: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(cases).filter(([name]) => only === null || only.test(name)));
}
