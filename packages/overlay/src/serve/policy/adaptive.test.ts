import { beforeEach, describe, expect, it } from 'vitest';
import { blockingPolicy } from '../../fuse/session.ts';
import { AdaptivePolicy, type Ways } from './adaptive.ts';
import type { Place } from './place.ts';

/** A machine of numbers: time goes on as the test says. */
const machine = { us: 0, runnable: 1, cpu: 1, looks: 0 };
const around = {
  now: () => machine.us,
  runnable: () => machine.runnable,
  cpuOf() {
    machine.looks++;
    return machine.cpu;
  },
  close() {},
};
const seat = { cpu: -1, ready: true, refuses: false, rescued: false, steps: [] as string[] };
const place: Place = {
  ready: () => seat.ready,
  pack(cpu) {
    seat.steps.push(`pack ${cpu}`);
    return !seat.refuses;
  },
  move(cpu) {
    seat.steps.push(`move ${cpu}`);
  },
  unpack() {
    seat.steps.push('unpack');
    seat.rescued = false;
  },
  rescued: () => seat.rescued,
  end() {},
};

beforeEach(() => {
  Object.assign(machine, { us: 1e9, runnable: 1, cpu: 1, looks: 0 });
  Object.assign(seat, { ready: true, refuses: false, rescued: false, steps: [] });
});

function policyWith(ways: Partial<Ways> = {}): AdaptivePolicy {
  return new AdaptivePolicy(around, { place, spin: true, sleepers: 1, ...ways }, blockingPolicy);
}

/** `count` requests, each `gap` after the answer before, from `pids` in turn. */
function ask(policy: AdaptivePolicy, count: number, gap: number, pids: number[] = [7]): void {
  for (let i = 0; i < count; i++) {
    machine.us += gap;
    policy.arrived();
    machine.us += 5;
    policy.served(pids[i % pids.length]);
  }
}

/** How long it looks again after an answer, in microseconds. */
function spinOf(policy: AdaptivePolicy): number {
  const start = machine.us;
  while (policy.lookAgain()) machine.us += 1;
  const spun = machine.us - start;
  machine.us = start;
  return spun;
}

describe('spinning', () => {
  it('is 50 us after an answer, and nothing later', () => {
    const policy = policyWith({ place: null });
    ask(policy, 1, 10);
    expect(spinOf(policy)).toBe(50);
    machine.us += 51;
    expect(spinOf(policy)).toBe(0);
    expect(policy.quietMs()).toBe(-1);
  });

  it('stops when others want the processors, and begins again when they do not', () => {
    const policy = policyWith({ place: null });
    machine.runnable = 3;
    ask(policy, 33, 10);
    expect([policy.way, spinOf(policy)]).toEqual(['block', 0]);
    // The client, which the scheduler still counts.
    machine.runnable = 2;
    ask(policy, 32, 100);
    expect(policy.way).toBe('spin');
  });

  it('takes several clients that compute for what they are', () => {
    const policy = policyWith({ place: null });
    machine.runnable = 5;
    ask(policy, 64, 10, [7, 8, 9, 10]);
    expect(policy.way).toBe('spin');
  });

  it('rests where it finds nothing, longer each time, and is used again when requests come sooner', () => {
    const policy = policyWith({ place: null });
    const spinning: number[] = [];
    for (let window = 0; window < 200; window++) {
      ask(policy, 32, 140);
      if (policy.way === 'spin') spinning.push(window);
    }
    expect(spinning.length).toBeLessThan(10);
    expect(
      spinning
        .slice(1)
        .map((window, i) => window - spinning[i])
        .at(-1),
    ).toBeGreaterThan(60);
    ask(policy, 32 * 66, 20);
    expect(policy.way).toBe('spin');
  });

  it('a client that comes late is not spun for: not a quarter of a processor below 1,000 requests a second', () => {
    const policy = policyWith({ place: null });
    let spun = 0;
    for (let i = 0; i < 999; i++) {
      ask(policy, 1, 1_000);
      spun += spinOf(policy);
    }
    expect(spun).toBeLessThan(250_000 / 4);
  });

  it('is not done where it was not asked for', () => {
    const policy = policyWith({ place: null, spin: false });
    ask(policy, 100, 10);
    expect([policy.way, spinOf(policy)]).toEqual(['block', 0]);
  });

  it('is not done when nobody knows what else runs', () => {
    const policy = policyWith();
    machine.runnable = -1;
    ask(policy, 64, 10);
    expect(policy.way).toBe('block');
  });
});

it('tells those who use quiet moments of each request', () => {
  let told = 0;
  const quiet = { ...blockingPolicy, arrived: () => told++ };
  const policy = new AdaptivePolicy(around, { place, spin: true, sleepers: 1 }, quiet);
  ask(policy, 40, 5);
  expect(told).toBe(40);
});

describe('following', () => {
  it('a lone client that asks quickly, after two windows at most, onto its processor', () => {
    const policy = policyWith();
    ask(policy, 64, 20);
    expect([policy.way, seat.steps, policy.alone(), spinOf(policy)]).toEqual(['follow', ['pack 1'], true, 0]);
  });

  it.each([
    ['a slow client', 400, [7], {}],
    ['a client that is slow three times in a window', 20, [7], { late: 3 }],
    ['two clients in turn', 20, [7, 8], {}],
    ['a client beside others', 20, [7], { runnable: 3 }],
    ['a client that nobody can find', 20, [7], { cpu: -1 }],
  ])('not %s', (_, gap, pids, facts) => {
    const policy = policyWith();
    const { late, ...machines } = facts as { late?: number };
    Object.assign(machine, machines);
    for (let window = 0; window < 6; window++) {
      if (late !== undefined) ask(policy, late, 400, pids);
      ask(policy, 32 - (late ?? 0), gap, pids);
    }
    expect(policy.alone()).toBe(false);
    expect(seat.steps).toEqual([]);
  });

  it('not before somebody watches', () => {
    const policy = policyWith();
    seat.ready = false;
    ask(policy, 200, 20);
    expect(policy.way).toBe('spin');
    seat.ready = true;
    ask(policy, 32, 20);
    expect(policy.way).toBe('follow');
  });

  it('not what the kernel alone sends', () => {
    const policy = policyWith();
    ask(policy, 1, 5);
    ask(policy, 200, 5, [0]);
    expect(seat.steps).toEqual([]);
  });

  it('requests that no thread waits for are nobody else’s', () => {
    const policy = policyWith();
    ask(policy, 64, 20, [7, 0]);
    expect(policy.way).toBe('follow');
    ask(policy, 64, 20, [7, 0]);
    expect(policy.way).toBe('follow');
  });

  it('goes along when the client has moved, and does not look while requests come at once', () => {
    const policy = policyWith();
    ask(policy, 64, 5);
    const looks = machine.looks;
    machine.cpu = 0;
    ask(policy, 320, 5);
    expect([machine.looks, seat.steps.at(-1)]).toEqual([looks, 'pack 1']);
    ask(policy, 2, 20);
    expect(seat.steps.at(-1)).toBe('pack 1');
    ask(policy, 1, 20);
    expect(seat.steps.at(-1)).toBe('move 0');
    // Late all the same: the client is where we are.
    ask(policy, 29, 20);
    expect([machine.looks, seat.steps.length]).toEqual([looks + 1, 2]);
  });

  it('goes along with a client that is late each time, from its beginning on', () => {
    const policy = policyWith();
    ask(policy, 64, 20);
    expect(policy.way).toBe('follow');
    machine.cpu = 0;
    ask(policy, 64, 40);
    expect(seat.steps.at(-1)).toBe('move 0');
  });

  it('goes along too when every other answer is one that nobody waits for', () => {
    const policy = policyWith();
    ask(policy, 64, 5);
    machine.cpu = 0;
    for (let i = 0; i < 3; i++) {
      ask(policy, 1, 5, [7]);
      ask(policy, 1, 30, [0]);
    }
    expect(seat.steps.at(-1)).toBe('move 0');
  });

  it('ends with a pause of the client, and begins again', () => {
    const policy = policyWith();
    ask(policy, 64, 5);
    ask(policy, 1, 1_001);
    expect([policy.alone(), seat.steps.at(-1)]).toEqual([false, 'unpack']);
    ask(policy, 64, 5);
    expect(policy.way).toBe('follow');
  });

  it('ends when another task is runnable twice, which is looked at soon', () => {
    const policy = policyWith();
    ask(policy, 64, 5);
    machine.runnable = 3;
    let more = 0;
    while (policy.alone() && more < 100) {
      ask(policy, 1, 5);
      more++;
    }
    expect(more).toBeLessThanOrEqual(37);
    expect(seat.steps.at(-1)).toBe('unpack');
    ask(policy, 32, 5);
    expect(policy.way).toBe('block');
  });

  it('has no sleeper counted where Linux counts none', () => {
    const policy = policyWith({ sleepers: 0 });
    machine.runnable = 2;
    ask(policy, 64, 5);
    expect(policy.way).toBe('block');
  });

  it('does not end for one moment of a kernel thread', () => {
    const policy = policyWith();
    ask(policy, 64, 5);
    for (let i = 0; i < 50; i++) {
      machine.runnable = 2 + (i % 2);
      ask(policy, i % 2 ? 4 : 32, 5);
    }
    expect(seat.steps).toEqual(['pack 1']);
  });

  it('ends with requests of somebody else', () => {
    const policy = policyWith();
    ask(policy, 64, 5);
    ask(policy, 64, 5, [7, 8]);
    expect(policy.alone()).toBe(false);
  });

  it('waits longer and longer after each failure, up to a second', () => {
    const policy = policyWith();
    seat.refuses = true;
    const tries: number[] = [];
    const end = machine.us + 10e6;
    while (machine.us < end) {
      const before = seat.steps.length;
      ask(policy, 32, 20);
      if (seat.steps.length > before) tries.push(machine.us);
    }
    const waits = tries.slice(1).map((us, i) => us - tries[i]);
    expect(waits[0]).toBeLessThan(3_000);
    expect(waits.at(-1)).toBeGreaterThanOrEqual(1e6);
    expect(waits.at(-1)).toBeLessThan(1.01e6);
  });

  it('takes a rescue for a failure', () => {
    const policy = policyWith();
    ask(policy, 64, 5);
    seat.rescued = true;
    ask(policy, 1, 5);
    expect([policy.alone(), seat.steps.at(-1)]).toEqual([false, 'unpack']);
  });
});
