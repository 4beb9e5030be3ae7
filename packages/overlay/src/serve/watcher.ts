/** The thread that watches over a packed serving thread: see policy/watch.ts. */
import { workerData } from 'node:worker_threads';
import { openSys } from '../sys/sys-koffi.ts';
import { type Watched, watch } from './policy/watch.ts';

watch(openSys(), workerData as Watched);
