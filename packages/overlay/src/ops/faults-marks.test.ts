/**
 * Faults and crashes (faults.test.ts) where the marks are others: every copy-up indexed for nfs_export, directories
 * too, and marks in `user.overlay.*`.
 */
import { linkOperations } from '../../test/support/faults/link-operations.ts';
import { operations } from '../../test/support/faults/operations.ts';
import { faultSuite } from '../../test/support/faults/suite.ts';
import { whiteoutOperations } from '../../test/support/faults/whiteout-operations.ts';

const indexed = [
  'copy up a file',
  'copy up below directories of a lower',
  'chmod a lower directory',
  'unlink a lower file',
  'mkdir over a whiteout',
  'rmdir a directory with whiteouts over a lower one',
  'rename a lower file over another in use',
  'rename a lower directory',
  'rename a merged directory to another',
  'exchange two directories',
];

faultSuite(
  {
    params: { nfsExport: true, index: true, redirectDir: 'on' },
    text: ',redirect_dir=on,index=on,nfs_export=on',
  },
  { ...linkOperations, ...Object.fromEntries(indexed.map((name) => [name, operations[name]])) },
);

const plain = [
  'copy up a file',
  'copy up below directories of a lower',
  'copy up a symlink',
  'set a flag that the upper keeps as an attribute',
  'unlink a lower file',
  'mkdir over a whiteout',
  'create over a whiteout for somebody else',
  'rmdir a directory with whiteouts over a lower one',
  'rename a lower file over another in use',
  'rename an upper directory over one with whiteouts',
  'exchange two lower files',
];
const ofOthers = ['create over the whiteout of a lower', 'unlink a file beside the whiteout of a lower'];

faultSuite(
  {
    params: { userxattr: true, redirectDir: 'nofollow', index: false, metacopy: false },
    text: ',userxattr,index=off,metacopy=off',
    marks: 'user.overlay.',
  },
  {
    ...Object.fromEntries(plain.map((name) => [name, operations[name]])),
    ...Object.fromEntries(ofOthers.map((name) => [name, whiteoutOperations[name]])),
  },
);
