import { describe, expect, it } from 'vitest';
import { SCHED_IDLE, SCHED_OTHER } from '../../sys/constants.ts';
import { EPERM } from '../../sys/errno.ts';
import type { Sys } from '../../sys/sys.ts';
import {
  ENDED,
  FREE,
  PACKED,
  PACKING,
  type Place,
  PROGRESS,
  placeOf,
  RESCUED,
  STATE,
  TID,
  WATCHED,
  WORDS,
} from './place.ts';

const ALL = new Uint8Array([0b1011]);

function seat(refuse: 'schedSetscheduler' | 'schedSetaffinity' | null = null, others: number[] = []) {
  const words = new Int32Array(new SharedArrayBuffer(WORDS * 4));
  const steps: string[] = [];
  const say = (call: string, done: string): number => {
    steps.push(`${done} in ${words[STATE]}`);
    return call === refuse && !done.endsWith(`class ${SCHED_OTHER}`) && !done.endsWith('1011') ? -EPERM : 0;
  };
  const sys = {
    schedSetscheduler: (tid: number, policy: number) => say('schedSetscheduler', `${tid} class ${policy}`),
    schedSetaffinity: (tid: number, cpus: Uint8Array) => say('schedSetaffinity', `${tid} cpus ${cpus[0].toString(2)}`),
  } as unknown as Sys;
  const place: Place = placeOf(sys, 9, ALL, words, others);
  return { place, words, steps };
}

describe('placeOf', () => {
  it('says over which thread to watch, and is ready when somebody does', () => {
    const { place, words } = seat();
    expect([words[TID], place.ready()]).toEqual([9, false]);
    words[WATCHED] = 1;
    expect(place.ready()).toBe(true);
  });

  it('is written down as watched before the thread enters the idle class, and as free after it has left', () => {
    const { place, words, steps } = seat();
    expect(place.pack(1)).toBe(true);
    expect(words[STATE]).toBe(PACKED);
    place.move(3);
    place.unpack();
    expect(words[STATE]).toBe(FREE);
    expect(steps).toEqual([
      `9 cpus 10 in ${PACKING}`,
      `9 class ${SCHED_IDLE} in ${PACKING}`,
      `9 cpus 1000 in ${PACKED}`,
      `9 class ${SCHED_OTHER} in ${PACKED}`,
      `9 cpus 1011 in ${PACKED}`,
    ]);
  });

  it('has the process’s other threads keep off the client’s processor', () => {
    const { place, steps } = seat(null, [20, 21]);
    place.pack(1);
    place.move(3);
    place.unpack();
    expect(steps.filter((step) => step.startsWith('2')).map((step) => step.split(' ').slice(0, 3).join(' '))).toEqual([
      ...['20 cpus 1001', '21 cpus 1001', '20 cpus 11', '21 cpus 11', '20 cpus 1011', '21 cpus 1011'],
    ]);
  });

  it('stays where the thread may not go', () => {
    const { place, words, steps } = seat();
    expect([place.pack(2), place.pack(400), words[STATE]]).toEqual([false, false, FREE]);
    expect(steps.filter((step) => step.includes(`class ${SCHED_IDLE}`))).toEqual([]);
  });

  it.each(['schedSetscheduler', 'schedSetaffinity'] as const)('is free again when %s is refused', (call) => {
    const { place, words, steps } = seat(call);
    expect(place.pack(1)).toBe(false);
    expect(words[STATE]).toBe(FREE);
    expect(steps.at(-1)).toBe(`9 cpus 1011 in ${PACKING}`);
  });

  it('tells of progress, and is told of a rescue', () => {
    const { place, words } = seat();
    place.pack(0);
    expect([place.rescued(), words[PROGRESS]]).toEqual([false, 1]);
    words[STATE] = RESCUED;
    expect([place.rescued(), words[PROGRESS]]).toEqual([true, 2]);
  });

  it('ends free, and sends its watcher away', () => {
    const { place, words, steps } = seat();
    place.pack(0);
    place.end();
    expect([words[STATE], steps.at(-2)]).toEqual([ENDED, `9 class ${SCHED_OTHER} in ${PACKED}`]);
  });
});
