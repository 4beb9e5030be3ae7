/**
 * Every compound operation with its Nth system call failing, for N = 1 to the last: the answer is the
 * errno or the work is done all the same, what is seen is the old or the new state (also after a
 * remount), the next try works, no descriptor and no node is lost, and the workdir comes clean.
 */
import { furtherOperations } from '../../test/support/faults/further-operations.ts';
import { operations } from '../../test/support/faults/operations.ts';
import { faultSuite } from '../../test/support/faults/suite.ts';

faultSuite({ params: {}, text: ',redirect_dir=on' }, { ...operations, ...furtherOperations });
