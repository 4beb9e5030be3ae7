/**
 * A `Sys` that fails on purpose: the Nth call that a plan counts answers an errno, or moves fewer
 * bytes than asked, once or from then on. A test runs its operation with N = 1, 2, … until a run
 * ends without a fault, and so has seen every point at which it can be hit.
 *
 * What fails is not done, but for close(2), which releases its descriptor whatever it answers.
 * Failing from then on is how a process that stopped at call N looks to the disk.
 */
import type { ByteString } from './bytes.ts';
import { callArguments, type SysCall, wrapSys } from './calls.ts';
import { EIO } from './errno.ts';
import type { Sys } from './sys.ts';

export interface FaultPlan {
  /** Which counted call is hit; the first is 1. Infinity only counts. */
  at: number;
  /** What it answers, given positive; EIO if absent. */
  errno?: number;
  /** Instead of an errno: it reads, writes or copies this many bytes. Only calls that are asked for more count. */
  short?: number;
  /** Every counted call from then on is hit too. */
  forever?: boolean;
  /** The calls that count; all that can fail, if absent. */
  calls?: readonly SysCall[];
  /** Only calls on one of these descriptors count. */
  fds?: readonly number[];
  /** Only calls that name one of these, as a whole or as the last component, count. */
  names?: readonly ByteString[];
}

export interface FaultSys {
  readonly sys: Sys;
  /** How many calls were counted so far. */
  readonly counted: number;
  /** Whether any call was hit. */
  readonly fired: boolean;
}

/** They have no way to say that they failed. */
const neverFail: ReadonlySet<SysCall> = new Set(['umask', 'geteuid', 'getegid', 'setfsuid', 'setfsgid']);

/** The calls that change what is on a disk: `calls` of a plan that looks for crash points. */
export const changingCalls: readonly SysCall[] = [
  'write',
  'pwrite',
  'ftruncate',
  'truncate',
  'fallocate',
  'fsync',
  'fdatasync',
  'syncfs',
  'copyFileRange',
  'ficlone',
  'fchmod',
  'fchmodat',
  'fchownat',
  'utimensat',
  'mkdirat',
  'mknodat',
  'unlinkat',
  'renameat2',
  'linkat',
  'symlinkat',
  'setxattrat',
  'removexattrat',
  'fsetxattr',
  'fremovexattr',
];

/** The calls that may move fewer bytes than they were asked to: `calls` of a plan with `short`. */
export const movingCalls: readonly SysCall[] = (Object.keys(callArguments) as SysCall[]).filter((name) =>
  callArguments[name].includes('length'),
);

export function faultSys(inner: Sys, plan: FaultPlan): FaultSys {
  let counted = 0;
  let fired = false;
  const calls = plan.calls && new Set(plan.calls);

  const counts = (name: SysCall, args: readonly unknown[]): boolean => {
    if (calls ? !calls.has(name) : neverFail.has(name)) return false;
    const kinds = callArguments[name];
    if (plan.short !== undefined) {
      const length = kinds.indexOf('length');
      if (length < 0 || (args[length] as number) <= plan.short) return false;
    }
    if (plan.fds && !kinds.some((kind, i) => isDescriptor(kind) && plan.fds?.includes(args[i] as number))) return false;
    if (plan.names && !kinds.some((kind, i) => kind === 'name' && isNamed(args[i] as ByteString, plan.names))) {
      return false;
    }
    return true;
  };

  const sys = wrapSys(inner, (name, args, call) => {
    if (!counts(name, args)) return call(args);
    counted++;
    const hit = plan.forever ? counted >= plan.at : counted === plan.at;
    if (!hit) return call(args);
    if (plan.short !== undefined) {
      const length = callArguments[name].indexOf('length');
      fired = true;
      return call(args.with(length, plan.short));
    }
    fired = true;
    if (name === 'close') call(args);
    return -(plan.errno ?? EIO);
  });

  return {
    sys,
    get counted(): number {
      return counted;
    },
    get fired(): boolean {
      return fired;
    },
  };
}

function isDescriptor(kind: string): boolean {
  return kind === 'fd' || kind === 'dirfd';
}

function isNamed(path: ByteString, names: readonly ByteString[] = []): boolean {
  return names.includes(path) || names.includes(path.slice(path.lastIndexOf('/') + 1));
}
