/** The kernel's overlay: the oracle, which has to pass all that is asked of ours. */
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { kernel } from './targets/kernel.ts';
import { describeUnion } from './union-suite.ts';

describeUnion(openSys(), kernel);
