import { spawn } from 'node:child_process';
import { expect, test } from 'vitest';
import { openSys } from '../sys/sys-koffi.ts';
import { callerKilled, hasKillPending } from './caller-killed.ts';

const status = (thread: string, shared: string): string =>
  `Name:\tx\nSigQ:\t0/95\nSigPnd:\t${thread}\nShdPnd:\t${shared}\nSigBlk:\tffffffffffffffff\n`;
const none = '0000000000000000';

test.each([
  ['nothing', none, none, false],
  ['SIGKILL for the thread', '0000000000000100', none, true],
  ['SIGKILL for the process', none, '0000000000000100', true],
  ['SIGTERM alone', '0000000000004000', '0000000000004000', false],
  ['a real-time signal whose number has the same bit in the upper half', none, '0000010000000000', false],
])('%s pending', (_, thread, shared, killed) => {
  expect(hasKillPending(status(thread, shared))).toBe(killed);
});

test('a caller that lives, or is nobody, has not been killed', () => {
  const child = spawn('sleep', ['10'], { stdio: 'ignore' });
  try {
    expect(callerKilled(openSys(), () => child.pid!)()).toBe(false);
    expect(callerKilled(openSys(), () => 0)()).toBe(false);
  } finally {
    child.kill('SIGKILL');
  }
});
