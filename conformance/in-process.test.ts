/** Our engine in this process: without a mount, and without privileges too. */
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { inProcess } from './targets/in-process.ts';
import { describeUnion } from './union-suite.ts';

describeUnion(openSys(), inProcess);
