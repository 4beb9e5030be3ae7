// Run by sys-mounts.test.ts in a process of its own: makes mounts in a private mount namespace,
// and prints what each call answered as JSON. Argument: an empty directory.
import { readFileSync, writeFileSync } from 'node:fs';
import * as c from 'stratafs/internal/sys/constants';
import { Stat, StatFs } from 'stratafs/internal/sys/stat';
import { openSys } from 'stratafs/internal/sys/sys-koffi';

const dir = process.argv[2];
const sys = openSys();
const statfs = new StatFs();
const stat = new Stat();
const typeAt = (path) => (sys.statfs(path, statfs) < 0 ? 'none' : statfs.type);
const out = {};

const home = sys.openat(c.AT_FDCWD, '/proc/thread-self/ns/mnt', c.O_RDONLY, 0);
out.unshare = sys.unshare(c.CLONE_NEWNS);
out.private = sys.mount('none', '/', '', c.MS_REC | c.MS_PRIVATE, null);

out.mount = sys.mount('src', dir, 'tmpfs', c.MS_NOSUID, 'size=64k,mode=0711');
out.mountedType = typeAt(dir);
sys.statx(c.AT_FDCWD, dir, 0, stat);
out.mountedMode = stat.mode & 0o7777;
out.mountinfo = readFileSync('/proc/thread-self/mountinfo', 'utf8').includes(` ${dir} rw,nosuid,`);
out.badType = sys.mount('none', dir, 'no-such-fs', 0, null);
out.umount = sys.umount2(dir, 0);
out.umountAgain = sys.umount2(dir, 0);

const fs = sys.fsopen('tmpfs', 0);
out.fsopenBad = sys.fsopen('no-such-fs', 0);
out.setString = sys.fsconfig(fs, c.FSCONFIG_SET_STRING, 'size', '128k', 0);
out.setBad = sys.fsconfig(fs, c.FSCONFIG_SET_STRING, 'nonsense', '1', 0);
out.create = sys.fsconfig(fs, c.FSCONFIG_CMD_CREATE, null, null, 0);
const mnt = sys.fsmount(fs, 0, c.MOUNT_ATTR_NODEV);
out.fsmount = mnt > 0;
out.detached = sys.mkdirat(mnt, 'made while detached', 0o700);
out.move = sys.moveMount(mnt, '', c.AT_FDCWD, dir, c.MOVE_MOUNT_F_EMPTY_PATH);
out.movedType = typeAt(dir);
out.movedSize = statfs.blocks * statfs.bsize;

const tree = sys.openTree(c.AT_FDCWD, dir, c.OPEN_TREE_CLONE);
out.openTree = tree > 0;
out.cloexec = sys.fcntl(tree, c.F_GETFD, 0);
out.setattr = sys.mountSetattr(tree, '', c.AT_EMPTY_PATH, c.MOUNT_ATTR_RDONLY, 0, 0);
out.readOnly = sys.mkdirat(tree, 'x', 0o700);
out.original = sys.mkdirat(c.AT_FDCWD, `${dir}/x`, 0o700);
out.seenThrough = sys.statx(tree, 'x', 0, stat);
out.setattrBack = sys.mountSetattr(tree, '', c.AT_EMPTY_PATH, 0, c.MOUNT_ATTR_RDONLY, 0);
out.writable = sys.mkdirat(tree, 'y', 0o700);
out.openTreeBad = sys.openTree(c.AT_FDCWD, `${dir}/missing`, 0);

out.setns = sys.setns(home, c.CLONE_NEWNS);
out.typeAtHome = typeAt(dir);
writeFileSync(1, JSON.stringify(out));
