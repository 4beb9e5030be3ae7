/**
 * How V8 collects garbage in a process that serves. All the heap of a server is ten to twenty MiB, of which a
 * scavenge copies less than one: done by the serving thread alone that takes a millisecond or two, while
 * shared with V8's other threads it takes up to fifteen where these do not get a processor at once.
 */
import { setFlagsFromString } from 'node:v8';

/** V8 looks at this each time it collects. */
export function collectAlone(): void {
  setFlagsFromString('--no-parallel-scavenge');
}
