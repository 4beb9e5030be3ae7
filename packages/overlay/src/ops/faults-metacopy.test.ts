/**
 * Faults and crashes (faults.test.ts) where metadata is copied up alone: a file without its data shows
 * the lower's, and the data is complete or not there at all, whatever fails.
 */
import { metacopyOperations } from '../../test/support/faults/link-operations.ts';
import { type Operation, redirecting } from '../../test/support/faults/operation.ts';
import { operations } from '../../test/support/faults/operations.ts';
import { faultSuite } from '../../test/support/faults/suite.ts';

const further = [
  'copy up a file',
  'copy up by truncating',
  'open with O_TRUNC',
  'chmod a lower file',
  'chown a lower file',
  'set an attribute',
  'link a lower file',
  'link one of two links',
  'rename a lower file',
  'rename a lower file over another in use',
  'exchange a lower file and a lower directory',
];

/** A file of metadata alone carries a redirect to its data when it gets another name. */
function redirected(name: string): [string, Operation] {
  return [name, /^(link|rename) /.test(name) ? redirecting(operations[name]) : operations[name]];
}

faultSuite(
  { params: { metacopy: true, redirectDir: 'on', index: true }, text: ',redirect_dir=on,metacopy=on,index=on' },
  { ...metacopyOperations, ...Object.fromEntries(further.map(redirected)) },
);
