/**
 * Faults and crashes (faults.test.ts) where hard links are kept over copy-up: names, index entries and
 * the counts of links are in step whatever fails.
 */
import { linkOperations } from '../../test/support/faults/link-operations.ts';
import { operations } from '../../test/support/faults/operations.ts';
import { faultSuite } from '../../test/support/faults/suite.ts';

const further = [
  'copy up a file',
  'copy up by truncating',
  'chmod a lower directory',
  'unlink a lower file',
  'link a lower file',
  'link over a whiteout',
  'rename a lower file over another in use',
  'rename a lower directory',
];

faultSuite(
  { params: { index: true }, text: ',redirect_dir=on,index=on' },
  { ...linkOperations, ...Object.fromEntries(further.map((name) => [name, operations[name]])) },
);
