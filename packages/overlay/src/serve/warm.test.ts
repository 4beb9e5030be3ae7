import fs from 'node:fs';
import { describe, expect, it } from 'vitest';
import { NEEDS_MOUNTS, privileged } from '../../test/support/privilege.ts';
import { blockingPolicy } from '../fuse/session.ts';
import { openSys } from '../sys/sys-koffi.ts';
import { Rehearsal, warmingPolicy } from './warm.ts';

const sys = openSys();
const descriptors = (): number => fs.readdirSync('/proc/self/fd').length;

describe('Rehearsal', () => {
  it('has its requests answered, and leaves nothing behind', (context) => {
    context.skip(!privileged, NEEDS_MOUNTS);
    const before = descriptors();
    const rehearsal = Rehearsal.begin(sys)!;
    const errors = new Map<string, number>();
    rehearsal.onAnswer = (opcode, error) => {
      if (error !== 0) errors.set(`${opcode} ${error}`, (errors.get(`${opcode} ${error}`) ?? 0) + 1);
    };
    while (rehearsal.served < 500) rehearsal.step();
    rehearsal.end();
    expect([...errors]).toEqual([]);
    expect(descriptors()).toBe(before);
  });
});

describe('warmingPolicy', () => {
  it('uses quiet moments after the mount is live, and not for long', () => {
    let rests = 0;
    const quiet = { ...blockingPolicy, quietMs: () => 77, rest: () => rests++ };
    const policy = warmingPolicy(sys, quiet);
    expect(policy.quietMs()).toBe(77);
    policy.live();
    const start = performance.now();
    let slices = 0;
    for (; policy.quietMs() === 0; slices++) policy.rest();
    expect(performance.now() - start).toBeLessThan(2_000);
    expect(rests).toBe(0);
    if (privileged) expect(slices).toBeGreaterThan(2);
    policy.rest();
    expect([policy.quietMs(), rests]).toEqual([77, 1]);
    policy.end();
  });

  it('waits for a pause once requests come, be it in the middle of a slice', () => {
    const policy = warmingPolicy(sys, blockingPolicy);
    policy.live();
    expect([policy.quietMs(), policy.quietMs()]).toEqual([0, 0]);
    policy.arrived();
    expect([policy.quietMs(), policy.quietMs()]).toEqual([2, 2]);
    policy.rest();
    if (privileged) expect(policy.quietMs()).toBe(0);
    policy.arrived();
    if (privileged) expect(policy.quietMs()).toBe(2);
    policy.end();
  });
});
