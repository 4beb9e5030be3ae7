// The bugs that `npm run planted` plants: what a tired engineer might write or leave out. `edits` are
// made in `file` (each `find` stands there exactly once), `tests` are the arguments of vitest that
// should fail then: the narrowest that see it.

const engine = 'packages/overlay/src';
/** @param {string[]} args */
const unit = (...args) => ['--project', 'unit', ...args.map((arg) => `${engine}/${arg}`)];
/** The cases in process, whose names match `pattern`. @param {string} pattern */
const cases = (pattern) => ['--project', 'conformance', 'conformance/in-process.test.ts', '-t', pattern];

/**
 * @typedef {object} Bug
 * @property {string} name
 * @property {string} file
 * @property {import('./plant.mjs').Edit[]} edits
 * @property {string[]} tests
 */

/** @type {Bug[]} */
export const bugs = [
  {
    name: 'a copy-up is not flushed',
    file: `${engine}/overlay/copy-up-tmpfile.ts`,
    edits: [{ find: 'return flushes ? upper.fsync(file, false) : 0;', replace: 'return 0;' }],
    tests: unit('ops/flush.test.ts'),
  },
  {
    name: 'a failed chown of the copy is overlooked',
    file: `${engine}/overlay/copy-up-tmpfile.ts`,
    edits: [
      {
        find: 'err = upper.fchown(file, st.uid, st.gid);\n  if (err < 0) return err;',
        replace: 'upper.fchown(file, st.uid, st.gid);',
      },
    ],
    tests: unit('ops/faults.test.ts'),
  },
  {
    name: 'a copied-up file forgets its extended attributes',
    file: `${engine}/overlay/copy-up-tmpfile.ts`,
    edits: [
      { find: 'err = copyXattrs(sb, lower, (name, value) => upper.fsetxattr(file, name, value, 0));', replace: '' },
    ],
    tests: cases('overlay'),
  },
  {
    name: 'the parent keeps the times of the copy-up',
    file: `${engine}/overlay/copy-up.ts`,
    edits: [{ find: 'restoreTimes(sb, parent, parentSt);', replace: '' }],
    tests: cases('overlay'),
  },
  {
    name: 'no whiteout where an upper file covers a lower one',
    file: `${engine}/overlay/remove.ts`,
    edits: [
      {
        find: 'lowerPositive(sb, parent, name) ? whiteoutOver(sb, dir, name, false) : dir.layer.unlink(dir, name)',
        replace: 'dir.layer.unlink(dir, name)',
      },
    ],
    tests: cases('overlay'),
  },
  {
    name: 'a directory that a lower fills counts as empty',
    file: `${engine}/overlay/remove.ts`,
    edits: [{ find: 'if (!empty) return -ENOTEMPTY;', replace: '' }],
    tests: unit('ops/overlay-ops.test.ts'),
  },
  {
    name: 'a directory over a whiteout is not opaque',
    file: `${engine}/overlay/create.ts`,
    edits: [{ find: 'opaque = isDir && (over === 1 || opaqueNew);', replace: 'opaque = false;' }],
    tests: cases('overlay'),
  },
  {
    name: 'a default ACL is not inherited',
    file: `${engine}/overlay/create.ts`,
    edits: [
      {
        find: 'const defaultAcl = type === S_IFLNK ? null : defaultAclOf(parent);',
        replace: 'const defaultAcl = null as Buffer | null;',
      },
    ],
    tests: cases('posix lower'),
  },
  {
    name: 'the umask is ignored',
    file: `${engine}/overlay/create.ts`,
    edits: [{ find: 'mode &= ~(who.umask & 0o777);', replace: ';' }],
    tests: cases('posix lower'),
  },
  {
    name: 'a renamed directory is not redirected',
    file: `${engine}/overlay/rename.ts`,
    edits: [{ find: 'if (inode.lowers.length > 0) return setRedirect(sb, inode, same);', replace: '' }],
    tests: unit('ops/overlay-ops.test.ts'),
  },
  {
    name: 'a pure directory that moves is not opaque',
    file: `${engine}/overlay/rename.ts`,
    edits: [{ find: 'const marked = setOpaque(sb, inode.upper!);', replace: 'const marked = 0;' }],
    tests: cases('overlay'),
  },
  {
    name: 'what is renamed away leaves no whiteout',
    file: `${engine}/overlay/rename.ts`,
    edits: [
      {
        find: 'const leavesWhiteout = whiteout || lowerPositive(sb, oldParent, oldName);',
        replace: 'const leavesWhiteout = false as boolean;',
      },
    ],
    tests: cases('overlay'),
  },
  {
    name: 'a listing is not refreshed after a change',
    file: `${engine}/overlay/util.ts`,
    edits: [{ find: 'dir.version++;', replace: '' }],
    tests: cases('posix merged'),
  },
  {
    name: 'a name that is made does not count as known',
    file: `${engine}/layer/disk-layer.ts`,
    edits: [{ find: 'dir.names?.add(name);', replace: '' }],
    tests: ['--project', 'unit', 'packages/overlay/src/ops/depth.test.ts'],
  },
  {
    name: 'positions of a listing begin anew',
    file: `${engine}/overlay/readdir.ts`,
    edits: [{ find: 'const known = positions.get(name);', replace: 'const known = undefined as number | undefined;' }],
    tests: ['--project', 'conformance', 'conformance/fuse.test.ts', '-t', 'posix merged'],
  },
  {
    name: 'an upper whiteout does not hide the lower name in a listing',
    file: `${engine}/overlay/readdir.ts`,
    edits: [{ find: 'if (type === WHITEOUT) seen.add(entries, i);', replace: 'if (type === WHITEOUT) continue;' }],
    tests: cases('overlay'),
  },
  {
    name: 'impure is not written',
    file: `${engine}/overlay/util.ts`,
    edits: [
      {
        find: 'const err = dir.upper!.layer.setxattr(dir.upper!, sb.names.impure, YES, 0);',
        replace: 'const err = 0;',
      },
    ],
    tests: cases('overlay'),
  },
  {
    name: "the overlay's own attributes are shown",
    file: `${engine}/overlay/xattr.ts`,
    edits: [
      {
        find: 'standsForDevice(sb, inode, name) || isGuard(inode, name) ? null : sb.names.fromLayer(name);',
        replace: 'name as ByteString | null;',
      },
    ],
    tests: cases('overlay'),
  },
  {
    name: 'a writer keeps suid',
    file: `${engine}/overlay/attr.ts`,
    edits: [{ find: 'let kept = mode & ~S_ISUID;', replace: 'let kept = mode;' }],
    tests: cases('posix lower'),
  },
  {
    name: 'a lower is read through its own mount',
    file: `${engine}/layer/layer-root.ts`,
    edits: [{ find: 'if (err === 0 && sameDirectory(sys, root, clone)) return clone;', replace: 'err = -1;' }],
    tests: unit('layer'),
  },
  {
    name: 'every OPEN registers a backing file of its own',
    file: `${engine}/fuse/passthrough.ts`,
    edits: [{ find: 'if (!files) {', replace: 'if (!files || files.backingId >= 0) {' }],
    tests: unit('fuse/passthrough.test.ts'),
  },
  {
    name: 'a writer joins those who read a lower past the server',
    file: `${engine}/fuse/passthrough.ts`,
    edits: [{ find: 'return this.nodes.get(nodeid)?.lower ?? false;', replace: 'return false;' }],
    tests: unit('fuse'),
  },
  {
    name: 'an answer that the kernel refuses keeps its reference',
    file: `${engine}/fuse/session.ts`,
    edits: [{ find: 'undo(connection);', replace: '' }],
    tests: unit('fuse'),
  },
  {
    name: 'sticky directories are not honoured',
    file: `${engine}/ops/permitted-ops.ts`,
    edits: [
      {
        find: 'const sticky = (this.st.mode & S_ISVTX) !== 0 && !this.owns(caller, this.st);',
        replace: 'const sticky = false;',
      },
    ],
    tests: cases('posix lower'),
  },
  {
    name: 'supplementary groups do not count',
    file: `${engine}/ops/permissions.ts`,
    edits: [
      {
        find: 'return caller.gid === gid || (caller.groups?.includes(gid) ?? false);',
        replace: 'return caller.gid === gid;',
      },
    ],
    tests: unit('ops/permissions.test.ts'),
  },
  {
    name: 'what an earlier mount left in work stays there',
    file: `${engine}/overlay/fill-super.ts`,
    edits: [{ find: "return cleanTree(base, 'work', WORK_DEPTH);", replace: 'return 0;' }],
    tests: unit('ops/faults.test.ts'),
  },
  {
    name: 'a volatile mount leaves no mark',
    file: `${engine}/overlay/fill-super.ts`,
    edits: [
      { find: "return sb.config.fsync === 'volatile' ? prepareVolatile(sb, work) : null;", replace: 'return null;' },
    ],
    tests: ['--project', 'conformance', 'conformance/in-process.test.ts', '-t', 'volatile'],
  },
  {
    name: 'the data of a file of metadata alone is not flushed',
    file: `${engine}/overlay/complete.ts`,
    edits: [{ find: "if (err >= 0 && sb.config.fsync !== 'volatile') err = layer.fsync(file, false);", replace: '' }],
    tests: unit('ops/flush.test.ts'),
  },
  {
    name: 'a file counts as metadata alone after its data has come',
    file: `${engine}/overlay/complete.ts`,
    edits: [{ find: 'err = layer.removexattr(upper, sb.names.metacopy);', replace: 'err = 0;' }],
    tests: cases('metacopy'),
  },
  {
    name: 'capabilities go with the data that comes',
    file: `${engine}/overlay/complete.ts`,
    edits: [
      { find: "typeof capability === 'number' ? 0 : layer.setxattr(upper, CAPABILITY, capability, 0);", replace: '0;' },
    ],
    tests: cases('metacopy'),
  },
  {
    name: 'a copy in the index has no link count',
    file: `${engine}/overlay/index-dir.ts`,
    edits: [{ find: 'let err = setNlinkLower(sb, inode);', replace: 'let err = 0;' }],
    tests: unit('ops/faults-index.test.ts'),
  },
  {
    name: 'the last name of an indexed file leaves the entry',
    file: `${engine}/overlay/index-dir.ts`,
    edits: [{ find: ': dir.layer.unlink(dir, name);', replace: ': 0;' }],
    tests: cases('overlay'),
  },
  {
    name: 'an index of other lowers is taken',
    file: `${engine}/overlay/index-verify.ts`,
    edits: [
      {
        find: 'const err = verifyHandle(d, mark, handle);',
        replace: 'const err = verifyHandle(d, mark, handle) && -ENODATA;',
      },
    ],
    tests: cases('overlay'),
  },
  {
    name: 'immutable files may be removed',
    file: `${engine}/overlay/protection.ts`,
    edits: [
      {
        find: 'return refusedBy(dir, PROTECTION) || refusedBy(victim, PROTECTION);',
        replace: 'return refusedBy(dir, PROTECTION) && refusedBy(victim, PROTECTION);',
      },
    ],
    tests: cases('posix lower'),
  },
  {
    name: "a user's whiteout is one of ours",
    file: `${engine}/overlay/escaped-whiteout.ts`,
    edits: [{ find: 'return (mode & 0o170000) === S_IFCHR && rdev === 0;', replace: 'return mode < 0 && rdev === 0;' }],
    tests: unit('overlay/escaped-whiteout.test.ts'),
  },
  {
    name: 'a lazy copy-up gets its name before it is in the registry for good',
    file: `${engine}/overlay/lazy-registry.ts`,
    edits: [{ find: 'return flushes ? syncReal(dir) : 0;', replace: 'return 0;' }],
    tests: unit('ops/lazy-faults.test.ts'),
  },
  {
    name: 'the marks of a completed file go before its data is on disk',
    file: `${engine}/overlay/lazy-complete.ts`,
    edits: [{ find: 'let err = flushes ? d.layer.fsync(lazy.stub, false) : 0;', replace: 'let err = 0;' }],
    tests: unit('ops/lazy-faults.test.ts'),
  },
  {
    name: 'a failed write leaves blocks of zeros in an incomplete file',
    file: `${engine}/overlay/lazy-file.ts`,
    edits: [{ find: 'if (err < 0) this.takeBack(kept, pos + len);', replace: '' }],
    tests: unit('ops/lazy-faults.test.ts'),
  },
  {
    name: 'an incomplete file grows before the block that it ended in is stored',
    file: `${engine}/overlay/lazy-file.ts`,
    edits: [{ find: 'if (err >= 0 && end > size) err = this.hold(size);', replace: '' }],
    tests: unit('ops/lazy-faults.test.ts'),
  },
  {
    name: 'a lookup goes on where the origin of a directory cannot be written',
    file: `${engine}/overlay/lookup.ts`,
    edits: [{ find: 'if (fixed < 0) return fixed;', replace: '' }],
    tests: unit('ops/faults-marks.test.ts'),
  },
  {
    name: 'an opaque mark that cannot be read counts as none',
    file: `${engine}/overlay/lookup.ts`,
    edits: [{ find: "if (typeof value === 'number' && !noXattrs.has(value)) return value;", replace: '' }],
    tests: unit('ops/faults.test.ts'),
  },
  {
    name: 'a block of an incomplete file that a short copy has begun counts as held',
    file: `${engine}/overlay/lazy-file.ts`,
    edits: [
      {
        find: 'const kept = n === whole ? n : Math.floor(Math.max(0, n) / blockSize) * blockSize;',
        replace: 'const kept = Math.max(0, n);',
      },
    ],
    tests: unit('ops/faults-lazy.test.ts'),
  },
  {
    name: 'the error of a copy that another thread made is overlooked',
    file: `${engine}/overlay/asides.ts`,
    edits: [{ find: 'if (aside.result < 0) return aside.result;', replace: '' }],
    tests: unit('ops/asides.test.ts'),
  },
  {
    name: 'a flush that failed in the copying thread is overlooked',
    file: `${engine}/serve/copy-steps.ts`,
    edits: [
      {
        find: 'return err >= 0 && flush ? sys.fsync(order.target) : err;',
        replace: 'if (err >= 0 && flush) sys.fsync(order.target);\n  return err;',
      },
    ],
    tests: unit('ops/faults-asides.test.ts'),
  },
  {
    name: 'a copy that nobody wants any more stays in the workdir',
    file: `${engine}/overlay/asides.ts`,
    edits: [{ find: 'for (const aside of [...this.all]) if (aside.result !== null) this.drop(aside);', replace: '' }],
    tests: unit('ops/asides.test.ts'),
  },
  {
    name: 'a layer that was not read counts as one without names',
    file: `${engine}/overlay/name-index.ts`,
    edits: [{ find: 'this.unread.add(layer);', replace: '' }],
    tests: unit('overlay/name-index.test.ts'),
  },
  // The nearest to what the differential runner passes over (docs/testing.md).
  {
    name: 'a file that is copied up counts as read now',
    file: `${engine}/overlay/copy-up-tmpfile.ts`,
    edits: [
      {
        find: 'upper.futimens(file, st.atime, st.atimeNsec, st.mtime, mtimeNsec);',
        replace: 'upper.futimens(file, 0, UTIME_NOW, st.mtime, mtimeNsec);',
      },
    ],
    tests: cases('overlay'),
  },
  {
    name: 'bringing the data of a file of metadata alone moves its mtime',
    file: `${engine}/overlay/complete.ts`,
    edits: [
      {
        find: 'const mtimeNsec = cut ? UTIME_NOW : st.mtimeNsec;',
        replace: 'const mtimeNsec = cut || st.mtimeNsec >= 0 ? UTIME_NOW : st.mtimeNsec;',
      },
    ],
    tests: cases('metacopy'),
  },
  {
    name: 'bringing the data of a file of metadata alone counts as reading it',
    file: `${engine}/overlay/complete.ts`,
    edits: [
      {
        find: 'layer.futimens(file, st.atime, st.atimeNsec, st.mtime, mtimeNsec)',
        replace: 'layer.futimens(file, 0, UTIME_NOW, st.mtime, mtimeNsec)',
      },
    ],
    tests: cases('metacopy'),
  },
  {
    name: 'a lower file that is open and unlinked reads as empty',
    file: `${engine}/overlay/file.ts`,
    edits: [
      {
        find: 'if (handle.accmode === O_WRONLY) return -EBADF;\n  const err = follow(handle);',
        replace:
          'if (handle.accmode === O_WRONLY) return -EBADF;\n  if (handle.inode.unlinked && handle.onLower) return 0;\n  const err = follow(handle);',
      },
    ],
    tests: cases('overlay'),
  },
  {
    name: 'a union takes another uuid at each mount',
    file: `${engine}/overlay/fill-super.ts`,
    edits: [
      {
        find: 'if (upper.getxattr(upper.root, sb.names.uuid) !== -ENODATA) return;',
        replace: 'if (upper.getxattr(upper.root, sb.names.uuid) === -ENODATA - 1) return;',
      },
    ],
    tests: cases('uuid'),
  },
  {
    name: 'another name of an indexed file is not linked up',
    file: `${engine}/overlay/index-dir.ts`,
    edits: [
      {
        find: 'if (err >= 0) err = linkName(sb, inode, inode.parent!, inode.name);',
        replace: 'if (err >= 0) err = 0;',
      },
    ],
    tests: cases('index'),
  },
  {
    name: 'the entry in the index counts as a name',
    file: `${engine}/overlay/nlink.ts`,
    edits: [
      {
        find: "const nlink = said ? (said.to === 'U' ? upperNlink : lowerNlink) + said.diff : 0;",
        replace:
          "const nlink = said ? Math.max(upperNlink, (said.to === 'U' ? upperNlink : lowerNlink) + said.diff) : 0;",
      },
    ],
    tests: cases('overlay'),
  },
  {
    name: 'each whiteout leaves another in work',
    file: `${engine}/overlay/whiteout.ts`,
    edits: [
      {
        find: 'noteWhiteout(dir, name);\n  if (isDir) cleanup(sb, temp);',
        replace: 'noteWhiteout(dir, name);\n  tempWhiteout(sb);\n  if (isDir) cleanup(sb, temp);',
      },
    ],
    tests: ['--project', 'conformance', 'conformance/parity/parity.test.ts', '-t', 'alike'],
  },
  {
    name: 'a serving thread that had to be rescued goes on as before',
    file: `${engine}/serve/policy/adaptive.ts`,
    edits: [{ find: '(gap > PAUSE_US || this.place?.rescued())', replace: 'gap > PAUSE_US' }],
    tests: unit('serve/policy/adaptive.test.ts'),
  },
  {
    name: 'a thread spins while others want the processors',
    file: `${engine}/serve/policy/adaptive.ts`,
    edits: [
      {
        find: 'this.spins = this.maySpin && !this.crowded && this.spinPays(caught);',
        replace: 'this.spins = this.maySpin && this.spinPays(caught);',
      },
    ],
    tests: unit('serve/policy/adaptive.test.ts'),
  },
];
