/** Sizes for people, with docker's decimal units. */
const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** `formatBytes(12_345_678)` is '12.3MB'. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(3))}${units[unit]}`;
}
