// Run by sys-loading.test.ts: a worker takes another user's ids, and both threads make a file in
// ARGV[2] while it has them. Prints the owners as JSON.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { AT_FDCWD, S_IFREG } from 'stratafs/internal/sys/constants';
import { Stat } from 'stratafs/internal/sys/stat';
import { openSys } from 'stratafs/internal/sys/sys-koffi';

const dir = isMainThread ? process.argv[2] : workerData;
const sys = openSys();
const make = (name) => sys.mknodat(AT_FDCWD, `${dir}/${name}`, S_IFREG | 0o600, 0);
const owner = (name) => {
  const stat = new Stat();
  sys.statx(AT_FDCWD, `${dir}/${name}`, 0, stat);
  return [stat.uid, stat.gid];
};

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url), { workerData: dir });
  await once(worker, 'message');
  make('main');
  worker.postMessage('done');
  await once(worker, 'exit');
  writeFileSync(1, JSON.stringify({ main: owner('main'), worker: owner('worker') }));
} else {
  sys.setfsgid(1001);
  sys.setfsuid(1000);
  make('worker');
  parentPort.postMessage('ready');
  await once(parentPort, 'message');
  parentPort.close();
}
