import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OpenOut } from '../ops/ops.ts';
import { O_DIRECT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from '../sys/constants.ts';
import { ELOOP, EPERM, ESTALE } from '../sys/errno.ts';
import { BackingFiles } from './passthrough.ts';

function open(backingFd: number): OpenOut {
  const out = new OpenOut();
  out.backingFd = backingFd;
  return out;
}

function below(backingFd: number): OpenOut {
  return Object.assign(open(backingFd), { lower: true });
}

function files(register: (fd: number) => number = (fd) => fd + 100) {
  const calls: string[] = [];
  const log: string[] = [];
  const backing = new BackingFiles(
    {
      directAlign: (fd) => fd * 100,
      register(fd) {
        calls.push(`register ${fd}`);
        return register(fd);
      },
      unregister(id) {
        calls.push(`unregister ${id}`);
      },
    },
    (line) => log.push(line),
  );
  backing.enabled = true;
  return { backing, calls, log };
}

describe('BackingFiles', () => {
  test('one id is shared by all files of a node and closed after the last', () => {
    const { backing, calls } = files();
    expect(backing.opened(7, open(3), O_RDONLY)).toBe(103);
    expect(backing.opened(7, open(4), O_RDWR)).toBe(103);
    backing.released(7, O_RDONLY);
    expect(calls).toEqual(['register 3']);
    backing.released(7, O_RDWR);
    expect(calls).toEqual(['register 3', 'unregister 103']);
    expect(backing.opened(7, open(5), O_RDONLY)).toBe(105);
  });

  test('while a cached file lives every further one is cached; the next after the last is not', () => {
    const { backing, calls } = files();
    expect(backing.opened(7, open(-1), O_RDONLY)).toBe(0);
    expect(backing.opened(7, open(4), O_RDWR)).toBe(0);
    backing.released(7, O_RDONLY);
    expect(backing.opened(7, open(4), O_RDWR)).toBe(0);
    backing.released(7, O_RDWR);
    backing.released(7, O_RDWR);
    expect(calls).toEqual([]);
    expect(backing.opened(7, open(4), O_RDWR)).toBe(104);
  });

  test('a file that cannot be registered is cached, and others are tried', () => {
    const { backing, log } = files((fd) => (fd === 3 ? -ELOOP : fd + 100));
    expect(backing.opened(7, open(3), O_RDONLY)).toBe(0);
    expect(backing.opened(8, open(4), O_RDONLY)).toBe(104);
    expect(log).toEqual([]);
  });

  test('EPERM turns passthrough off but for nodes that are in it', () => {
    let allowed = true;
    const { backing, calls, log } = files((fd) => (allowed ? fd + 100 : -EPERM));
    expect(backing.opened(7, open(3), O_RDONLY)).toBe(103);
    allowed = false;
    expect(backing.opened(8, open(4), O_RDONLY)).toBe(0);
    allowed = true;
    expect(backing.opened(9, open(5), O_RDONLY)).toBe(0);
    expect(backing.opened(7, open(6), O_RDONLY)).toBe(103);
    expect(calls).toEqual(['register 3', 'register 4']);
    expect(log).toEqual(['passthrough is off: EPERM from the kernel']);
  });

  test('those that read a lower are joined by their like only', () => {
    const { backing, calls } = files();
    expect(backing.opened(7, below(3), O_RDONLY)).toBe(103);
    expect(backing.opened(7, below(4), O_RDONLY)).toBe(103);
    const flags = [O_RDONLY, O_RDONLY | O_TRUNC, O_WRONLY, O_RDWR];
    expect(flags.map((each) => backing.refuses(7, each))).toEqual([false, true, true, true]);
    // Copied up since, or no longer to be offered.
    expect([open(5), open(-1), below(-1)].map((out) => backing.opened(7, out, O_RDONLY))).toEqual(
      Array(3).fill(-ESTALE),
    );
    for (let i = 0; i < 2; i++) backing.released(7, O_RDONLY);
    expect(calls).toEqual(['register 3', 'unregister 103']);
    expect(backing.refuses(7, O_RDWR)).toBe(false);
    expect(backing.opened(7, open(5), O_RDWR)).toBe(105);
  });

  test('a lower that cannot be registered is cached, and goes with writers', () => {
    const { backing } = files(() => -ELOOP);
    expect(backing.opened(7, below(3), O_RDONLY)).toBe(0);
    expect(backing.refuses(7, O_RDWR)).toBe(false);
    expect(backing.opened(7, open(5), O_RDWR)).toBe(0);
  });

  test('hasMappable tells of passthrough files that can be written through a mapping', () => {
    const { backing } = files();
    for (const flags of [O_RDONLY, O_WRONLY]) backing.opened(7, open(3), flags);
    expect(backing.hasMappable(7)).toBe(false);
    backing.opened(7, open(3), O_RDWR);
    expect(backing.hasMappable(7)).toBe(true);
    for (const flags of [O_WRONLY, O_RDWR]) backing.released(7, flags);
    expect(backing.hasMappable(7)).toBe(false);
    backing.opened(8, open(-1), O_RDWR);
    expect(backing.hasMappable(8)).toBe(false);
  });

  test('whatever the order, a node is never in two modes and every id is closed once', () => {
    const steps = fc.array(
      fc.record({ open: fc.boolean(), node: fc.integer({ min: 1, max: 3 }), fd: fc.integer({ min: -1, max: 4 }) }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(steps, (list) => {
        const { backing, calls } = files((fd) => (fd === 4 ? -ELOOP : calls.length));
        const live = new Map<number, number[]>();
        for (const step of list) {
          const ids = live.get(step.node) ?? [];
          live.set(step.node, ids);
          if (step.open) {
            ids.push(backing.opened(step.node, open(step.fd), O_RDWR));
            expect(new Set(ids).size).toBe(1);
          } else if (ids.length > 0) {
            ids.pop();
            backing.released(step.node, O_RDWR);
          }
        }
        for (const [node, ids] of live) for (const _ of ids) backing.released(node, O_RDWR);
        const closed = calls.filter((call) => call.startsWith('unregister'));
        expect(new Set(closed).size).toBe(closed.length);
        for (const node of [1, 2, 3]) expect(backing.hasMappable(node)).toBe(false);
      }),
    );
  });

  test('what O_DIRECT wants is asked for with the first such file, and goes with the flags of the moment', () => {
    const { backing } = files();
    backing.opened(7, open(3), O_RDWR);
    expect(backing.misaligned(7, O_RDWR | O_DIRECT, 1, 1)).toBe(false);
    backing.opened(7, open(5), O_RDWR | O_DIRECT);
    const asked = [
      [O_DIRECT, 500, 1000],
      [O_DIRECT, 500, 1001],
      [O_DIRECT, 1, 500],
      [0, 1, 1],
    ].map(([flags, pos, len]) => backing.misaligned(7, O_RDWR | flags, pos, len));
    expect(asked).toEqual([false, true, true, false]);
    backing.opened(8, open(-1), O_RDWR | O_DIRECT);
    expect(backing.misaligned(8, O_RDWR | O_DIRECT, 1, 1)).toBe(false);
  });
});
