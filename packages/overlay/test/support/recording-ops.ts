/**
 * A double of `Ops` for tests of the FUSE codec and dispatch without a kernel: answers what the test
 * gives it, and keeps the list of calls with copies of their arguments. An operation without an
 * answer is -ENOSYS (and nothing for those that never fail).
 */
import type { Caller, Ops } from '../../src/ops/ops.ts';
import { ENOSYS } from '../../src/sys/errno.ts';

export interface RecordedCall {
  name: string;
  args: unknown[];
}

export interface RecordingOps extends Ops {
  readonly calls: RecordedCall[];
}

const silent = new Set(['forget', 'release', 'releasedir', 'destroy', 'stay', 'split', 'isSplit']);
/** Not kept: asked for every answer with attributes. */
const questions = new Set(['isSplit']);

function copy(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (value !== null && typeof value === 'object' && 'uid' in value && 'umask' in value) {
    return { ...(value as Caller) };
  }
  return value;
}

export function recordingOps(answers: Partial<Ops>): RecordingOps {
  const calls: RecordedCall[] = [];
  const target = { calls, defaultPermissions: true };
  return new Proxy(target, {
    get(_, name: string) {
      if (name in target) return target[name as keyof typeof target];
      return (...args: unknown[]) => {
        if (!questions.has(name)) calls.push({ name, args: args.map(copy) });
        const answer = answers[name as keyof Ops] as ((...args: unknown[]) => unknown) | undefined;
        return answer ? answer(...args) : silent.has(name) ? undefined : -ENOSYS;
      };
    },
  }) as unknown as RecordingOps;
}
