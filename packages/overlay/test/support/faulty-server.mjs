// A worker thread that serves a FUSE mount of two files: `good` has attributes, looking at `bad` throws.
// For the test that no exception ends a server. workerData: { merged, stop, wakeFd }.
import { parentPort, workerData } from 'node:worker_threads';
import { Connection } from '../../dist/fuse/connection.js';
import { Notify } from '../../dist/fuse/notify.js';
import { BackingFiles, backingDevice } from '../../dist/fuse/passthrough.js';
import { blockingPolicy, Session } from '../../dist/fuse/session.js';
import { mountFuse, openFuseDevice } from '../../dist/mount/fuse-mount.js';
import { openMerged } from '../../dist/mount/layer-roots.js';
import { ENOENT, ENOSYS } from '../../dist/sys/errno.js';
import { openSys } from '../../dist/sys/sys-koffi.js';

const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const sys = openSys();
const BAD = 3;
/** Each lookup of `good` finds another node, so that the kernel forgets the one before. */
let good = 10;

function fill(nodeid, out) {
  Object.assign(out, { ino: BigInt(nodeid), nlink: 1, mode: nodeid === 1 ? S_IFDIR | 0o755 : S_IFREG | 0o644 });
}

const answers = {
  defaultPermissions: true,
  lookup(_caller, _parent, name, out) {
    if (name !== 'good' && name !== 'bad') return -ENOENT;
    out.nodeid = name === 'bad' ? BAD : good++;
    fill(out.nodeid, out.attr);
    return 0;
  },
  getattr(_caller, nodeid, _fh, out) {
    if (nodeid === BAD) throw new TypeError('a fault of the engine');
    fill(nodeid, out);
    return 0;
  },
  forget() {
    throw new RangeError('forget is at fault too');
  },
};
const ops = new Proxy(answers, { get: (target, name) => target[name] ?? (() => -ENOSYS) });

const log = (line) => parentPort.postMessage({ log: line });
const deviceFd = openFuseDevice(sys);
const options = { readdirplus: 'never', posixAcl: false, exportSupport: false, passthrough: false };
const timeouts = { entryTimeout: 0, negativeTimeout: 0, attrTimeout: 0 };
const connection = new Connection(
  ops,
  { ...options, ...timeouts },
  new BackingFiles(backingDevice(sys, deviceFd), log),
  new Notify((message, length) => sys.write(deviceFd, message, 0, length)),
  log,
);
const point = openMerged(sys, workerData.merged);
mountFuse(sys, deviceFd, point, 'faulty', {});
sys.close(point);
const session = new Session({
  sys,
  connection,
  deviceFd,
  wakeFd: workerData.wakeFd,
  stop: workerData.stop,
  policy: blockingPolicy,
  longWork: null,
  trace: null,
  onInit: () => parentPort.postMessage({ ready: true }),
});
const end = session.run();
sys.close(deviceFd);
parentPort.postMessage({ end });
