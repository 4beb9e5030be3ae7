/**
 * Faults and crashes (faults.test.ts) around the whiteouts of others: what mknod and RENAME_WHITEOUT make for an
 * overlay on top, and files that are whiteouts in a lower. With the index they are built there.
 */
import { faultSuite } from '../../test/support/faults/suite.ts';
import { whiteoutOperations } from '../../test/support/faults/whiteout-operations.ts';

faultSuite({ params: {}, text: ',redirect_dir=on' }, whiteoutOperations);

const leaving = Object.entries(whiteoutOperations).filter(([name]) => name.includes('leave'));
faultSuite(
  { params: { index: true, redirectDir: 'on' }, text: ',redirect_dir=on,index=on' },
  Object.fromEntries(leaving),
);
