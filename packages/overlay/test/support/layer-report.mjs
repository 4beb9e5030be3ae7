// Run by disk-layer-processes.test.ts in a process of its own: opens directory ARGV[2] as a lower and
// ARGV[3] as an upper and prints what it could do as JSON. With `submount` as ARGV[4] it first
// mounts something below the lower, in a private mount namespace.
import { writeFileSync } from 'node:fs';
import { DescriptorCache } from 'stratafs/internal/layer/descriptor-cache';
import { DiskLayer } from 'stratafs/internal/layer/disk-layer';
import { Dentry } from 'stratafs/internal/layer/layer';
import * as c from 'stratafs/internal/sys/constants';
import { Stat } from 'stratafs/internal/sys/stat';
import { openSys } from 'stratafs/internal/sys/sys-koffi';

const [lowerdir, upperdir, how] = process.argv.slice(2);
const sys = openSys();
const stat = new Stat();
const out = {};
if (how === 'submount') {
  out.unshare = sys.unshare(c.CLONE_NEWNS);
  sys.mount('none', '/', '', c.MS_REC | c.MS_PRIVATE, null);
  out.mount = sys.mount('none', `${lowerdir}/d`, 'tmpfs', 0, null);
}

const cache = new DescriptorCache(sys, 64);
const lower = DiskLayer.open(sys, cache, { path: lowerdir, label: 'lower', writable: false });
const d = new Dentry(lower, lower.root, 'd');
const f = new Dentry(lower, d, 'f');
out.cloned = lower.cloned;
const entries = [];
lower.readdir(d, entries);
out.entries = entries.map((e) => e.name);
out.sameDev = lower.lookup(lower.root, 'd', stat) === 0 && stat.dev === lower.dev;
const file = lower.open(f, c.O_RDONLY);
const buf = Buffer.alloc(16);
out.read = file < 0 ? file : buf.toString('latin1', 0, Math.max(0, lower.read(file, buf, 0, 16, 0)));
const id = lower.fileHandle(f);
out.handleIno = typeof id === 'number' ? id : lower.handleIno(id, stat);

const upper = DiskLayer.open(sys, cache, { path: upperdir, label: 'upper', writable: true });
const tmp = upper.tmpfile(upper.root, 0, 0o600);
out.tmpfile = tmp > 0;
out.linkFile = upper.linkFile(tmp, upper.root, 'linked');
const pinned = new Dentry(upper, upper.root, 'linked');
out.pin = upper.pin(pinned);
out.unlink = upper.unlink(upper.root, 'linked');
out.chmodPinned = upper.chmod(pinned, 0o640);
out.setxattrPinned = upper.setxattr(pinned, 'user.a', Buffer.from('v'), 0);
out.stat = upper.stat(pinned, stat);
out.mode = stat.mode & 0o7777;
writeFileSync(1, JSON.stringify(out));
