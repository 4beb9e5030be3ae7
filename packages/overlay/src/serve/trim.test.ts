import { describe, expect, it } from 'vitest';
import { trimmingPolicy } from './trim.ts';

describe('trimmingPolicy', () => {
  it('rests once after many nodes have gone, and not again until many more have', () => {
    let dropped = 0;
    const policy = trimmingPolicy(() => dropped);
    expect(policy.quietMs()).toBe(-1);
    dropped = 5_000;
    expect(policy.quietMs()).toBeGreaterThan(0);
    policy.rest();
    expect(policy.quietMs()).toBe(-1);
    dropped = 9_999;
    expect(policy.quietMs()).toBe(-1);
    dropped = 10_000;
    expect(policy.quietMs()).toBeGreaterThan(0);
  });

  it('gives back what is garbage', () => {
    const policy = trimmingPolicy(() => 5_000);
    const lost = new WeakRef({ some: 'object' });
    expect(lost.deref()).toBeDefined();
    // A WeakRef holds its object until the job that made it has ended.
    return new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      policy.rest();
      expect(lost.deref()).toBeUndefined();
    });
  });
});
