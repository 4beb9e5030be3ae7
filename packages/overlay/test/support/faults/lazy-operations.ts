/**
 * Compound operations on files that are copied up lazily: the copy-up, what is done to an incomplete file, its
 * completion. What a program writes goes to one block, or to whole ones: of more a part may be there, as anywhere.
 */
import { ATTR_SIZE, OpenOut } from '../../../src/ops/ops.ts';
import type { OverlayOps } from '../../../src/ops/overlay-ops.ts';
import { hydrate } from '../../../src/overlay/lazy-complete.ts';
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  O_RDWR,
  O_TRUNC,
  RENAME_EXCHANGE,
} from '../../../src/sys/constants.ts';
import { me, walk } from '../union.ts';
import { must } from './layers.ts';
import { apart, type Operation, opening, redirecting, renaming, run, setMode, setting } from './operation.ts';
import { operations } from './operations.ts';

const data = Buffer.alloc(9000, 'written');

function opened(o: OverlayOps, name: string): number {
  const open = new OpenOut();
  must(o.open(me, walk(o, name), O_RDWR, false, open));
  return open.fh;
}

/** All of it, as programs write. */
function write(o: OverlayOps, fh: number, pos: number, length: number): number {
  for (let done = 0; done < length; ) {
    const n = o.write(me, fh, data, done, length - done, pos + done, false);
    if (n <= 0) return n;
    done += n;
  }
  return 0;
}

/** On a file of which the upper has one block and a piece of another by then. */
const onIncomplete = (name: string, act: (o: OverlayOps, fh: number) => number, on?: Operation['on']): Operation => {
  let fh = -1;
  return {
    on,
    prepare(o) {
      fh = opened(o, name);
      must(write(o, fh, 60_000, 5000));
      return () => act(o, fh);
    },
    end: (o) => o.release(fh),
  };
};

/** The same, closed. */
const ofIncomplete = (name: string, operation: Operation): Operation => ({
  ...operation,
  prepare(o) {
    const fh = opened(o, name);
    must(write(o, fh, 60_000, 5000));
    o.release(fh);
    return operation.prepare(o);
  },
});

const completion = run((o) => {
  const failed = new Map<string, number>();
  while (!hydrate(o.sb, 500_000, failed).done);
  return Math.min(0, ...failed.values());
});

export const lazyOperations: Readonly<Record<string, Operation>> = {
  'copy up a file': opening('big', O_RDWR),
  'copy up a file with holes': opening('sparse', O_RDWR),
  'copy up one of two links': opening('linked', O_RDWR),
  'copy up by truncating': setting('big', { valid: ATTR_SIZE, size: 100_005 }),
  'open with O_TRUNC': opening('big', O_RDWR | O_TRUNC),
  'unlink a lower file': operations['unlink a lower file'],
  'write a piece of a block': onIncomplete('big', (o, fh) => write(o, fh, 300_001, 7)),
  'write whole blocks': onIncomplete('big', (o, fh) => write(o, fh, 409_600, 8192)),
  'write over the end': onIncomplete('big', (o, fh) => write(o, fh, 1_199_000, 9000)),
  'write into a hole': onIncomplete('sparse', (o, fh) => write(o, fh, 100_000, 100)),
  'punch a hole': onIncomplete('big', (o, fh) =>
    o.fallocate(me, fh, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 200_000, 600),
  ),
  'allocate room behind the end': onIncomplete('big', (o, fh) => o.fallocate(me, fh, 0, 1_200_000, 5000)),
  'truncate an incomplete file': ofIncomplete('big', setting('big', { valid: ATTR_SIZE, size: 300_001 })),
  'grow an incomplete file': ofIncomplete('big', setting('big', { valid: ATTR_SIZE, size: 1_300_000 })),
  'cut an incomplete file and grow it again': ofIncomplete('big', {
    prepare(o) {
      must(setting('big', { valid: ATTR_SIZE, size: 70_001 }).prepare(o)());
      return setting('big', { valid: ATTR_SIZE, size: 200_000 }).prepare(o);
    },
  }),
  'open an incomplete file with O_TRUNC': ofIncomplete('big', opening('big', O_RDWR | O_TRUNC)),
  'chmod an incomplete file': ofIncomplete(
    'big',
    run((o) => setMode(o, 'big', 0o600)),
  ),
  'rename an incomplete file': ofIncomplete('big', renaming('big', 'merged/made')),
  'rename over an incomplete file': ofIncomplete('big', renaming('new', 'big', 0, 'big')),
  'exchange an incomplete file and a directory': redirecting(
    ofIncomplete('big', renaming('big', 'dir', RENAME_EXCHANGE)),
  ),
  'unlink an incomplete file': ofIncomplete(
    'big',
    run((o) => o.unlink(me, 1, 'big')),
  ),
  'complete a file': { ...ofIncomplete('big', completion), completes: true },
  'complete a file in chunks': { ...ofIncomplete('big', completion), completes: true, on: apart },
  'complete a file with holes': { ...ofIncomplete('sparse', completion), completes: true },
};
