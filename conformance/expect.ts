/**
 * Assertions on results of system calls. A failure names errnos, never bare numbers, and the line
 * of the case is in its stack.
 */
import assert from 'node:assert/strict';
import type { ByteString } from 'stratafs/internal/sys/bytes';
import { toText } from 'stratafs/internal/sys/bytes';
import { errnoName } from 'stratafs/internal/sys/errno';

/** Thrown by a case that finds that its target cannot tell (a filesystem without holes, say). */
export class Skip extends Error {
  override name = 'Skip';
}

export function skip(reason: string): never {
  throw new Skip(reason);
}

/** A call of the test's own scaffolding: anything but success is a broken set-up. */
export function check(result: number, what: string): number {
  if (result < 0) {
    throw new Error(`set-up: ${toText(what)}: ${errnoName(result)}`);
  }
  return result;
}

let count = 0;

/** How many results were compared with what is expected of them so far: a case that adds none can hardly fail. */
export function judgements(): number {
  return count;
}

/** Fails a case that has ended without a judgement since `before`. */
export function judged(before: number): void {
  if (count === before) {
    assert.fail('the case compares nothing with anything');
  }
}

function show(result: unknown): string {
  return typeof result === 'number' && result < 0 ? errnoName(result) : `success (${show1(result)})`;
}

function show1(result: unknown): string {
  return Buffer.isBuffer(result) ? `${result.length} bytes` : typeof result === 'object' ? 'a value' : String(result);
}

/** The call succeeded; gives its result. */
export function ok<T>(result: T | number): T {
  if (typeof result === 'number' && result < 0) {
    assert.fail(`expected success, got ${errnoName(result)}`);
  }
  return result as T;
}

/** The call failed with exactly this errno (or one of these, where POSIX or filesystems leave a choice). */
export function fails(errno: number | readonly number[], result: unknown): void {
  count++;
  const allowed = typeof errno === 'number' ? [errno] : errno;
  if (typeof result !== 'number' || !allowed.includes(-result)) {
    assert.fail(`expected ${allowed.map(errnoName).join(' or ')}, got ${show(result)}`);
  }
}

/** `errno` 0 asks for success: for tables that hold both. */
export function gives(errno: number, result: unknown): void {
  if (errno === 0) {
    ok(result);
  } else {
    fails(errno, result);
  }
}

export function equal<T>(actual: T, expected: T, what?: string): void {
  count++;
  assert.deepEqual(
    actual,
    expected,
    what === undefined ? undefined : `${what}: ${format(actual)}, not ${format(expected)}`,
  );
}

/** Permission bits, compared in octal. */
export function modeIs(actual: number, expected: number): void {
  count++;
  assert.equal(`0${(actual & 0o7777).toString(8)}`, `0${expected.toString(8)}`);
}

export function bytesAre(actual: Buffer | number, expected: string | Uint8Array): void {
  count++;
  const data = ok<Buffer>(actual as Buffer);
  const want = typeof expected === 'string' ? Buffer.from(expected, 'latin1') : Buffer.from(expected);
  if (!data.equals(want)) {
    const at = data.findIndex((byte, i) => byte !== want[i]);
    assert.fail(
      `${data.length} bytes, not ${want.length} as expected; first difference at ${at < 0 ? data.length : at}`,
    );
  }
}

export function truly(condition: boolean, what: string): void {
  count++;
  assert.ok(condition, what);
}

function format(value: unknown): string {
  return JSON.stringify(value, (_key, v) => (typeof v === 'bigint' ? `${v}` : v)) ?? String(value);
}

/** For messages: a path as a person reads it. */
export function readable(path: ByteString): string {
  return JSON.stringify(toText(path)).slice(1, -1);
}
