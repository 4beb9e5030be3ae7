/** Our FUSE mount, served by a process of its own; and what it leaves, beside what the kernel leaves. */
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { fuse } from './targets/fuse.ts';
import { describeUnion } from './union-suite.ts';

describeUnion(openSys(), fuse);
