/** What the serving thread tells the main one, and a server process the one that started it. Plain data. */

import type { SessionEnd } from '../fuse/session.ts';
import type { FuseMount } from '../mount/fuse-mount.ts';
import { isMountError, MountError, type MountStatus } from '../mount/mount-error.ts';

/** A MountError on its way. */
export interface Failure {
  errno: number;
  exitStatus: MountStatus;
  message: string;
}

export type ThreadMessage =
  | { type: 'ready'; mount: FuseMount }
  | { type: 'ending'; end: SessionEnd }
  | { type: 'ended'; end: SessionEnd }
  | { type: 'failed'; failure: Failure };

/** One line of JSON from the server process to its starter. */
export type ProcessMessage = { ready: FuseMount } | { failed: Failure };

/** Any error; what is no MountError is a fault of this program, and its stack goes along. */
export function toFailure(error: unknown): Failure {
  if (isMountError(error)) return { errno: error.errno, exitStatus: error.exitStatus, message: error.message };
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { errno: 0, exitStatus: 2, message: `the server failed: ${text}` };
}

export function fromFailure(failure: Failure): MountError {
  return new MountError(failure.errno, failure.message, failure.exitStatus);
}
