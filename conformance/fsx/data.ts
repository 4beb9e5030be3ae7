/** Reading, writing and copying: read(2) to copy_file_range(2) and FICLONERANGE. */
import { BLOCK } from './content.ts';
import { appends, isDirect, type Kinds, MAX_SIZE, type Play, readable, shown, writable } from './play.ts';

/** <linux/fs.h>: _IOW(0x94, 13, struct file_clone_range). */
const FICLONERANGE = 0x4020_940d;

export const dataKinds: Kinds = {
  read: {
    weight: 24,
    run(play) {
      const open = play.pickOpen(readable);
      if (open === null) {
        return false;
      }
      const { content } = open.file;
      const { off, length } = play.range(open.file, isDirect(open));
      play.note(`read ${shown(open)} ${off}+${length}`);
      const got = play.ok<Buffer>(play.pread(open, length, off), 'read');
      const want = content.read(off, Math.max(0, Math.min(length, content.size - off)));
      play.same(open.file, off, got, want, 'read of');
      return true;
    },
  },
  write: {
    weight: 24,
    run(play) {
      const open = play.pickOpen(writable);
      if (open === null) {
        return false;
      }
      const { content } = open.file;
      const { off, length } = play.range(open.file, isDirect(open));
      const at = appends(open) ? content.size : off;
      if (at + length > MAX_SIZE) {
        return false;
      }
      play.note(`write ${shown(open)} ${at}+${length}${appends(open) ? ' (append)' : ''}`);
      const data = play.data(length);
      play.equal(play.pwrite(open, data, off), length, 'bytes written');
      content.write(at, data);
      return true;
    },
  },
  copy_file_range: {
    weight: 6,
    run(play) {
      const from = play.pickOpen((open) => readable(open) && !isDirect(open));
      const to = play.pickOpen((open) => writable(open) && !isDirect(open) && !appends(open));
      if (from === null || to === null) {
        return false;
      }
      const { off, length } = play.range(from.file, false);
      const { off: offOut } = play.range(to.file, false);
      if (offOut + length > MAX_SIZE || (from.file === to.file && Math.abs(off - offOut) < length)) {
        return false;
      }
      play.note(`copy_file_range ${shown(from)} ${off}+${length} to ${shown(to)} ${offOut}`);
      const want = Math.max(0, Math.min(length, from.file.content.size - off));
      let copied = 0;
      while (copied < want) {
        const n = play.door.copyFileRange(from.fd, off + copied, to.fd, offOut + copied, length - copied);
        if (n <= 0) {
          play.equal(copied, want, `bytes copied before ${play.ok(n, 'copy_file_range')}`);
        }
        copied += n;
      }
      play.equal(copied, want, 'bytes copied');
      to.file.content.write(offOut, from.file.content.read(off, copied));
      return true;
    },
  },
  ficlone: { weight: 1, run: (play) => clone(play, true) },
  ficlonerange: { weight: 2, run: (play) => clone(play, false) },
};

/** FICLONE and FICLONERANGE; whole blocks, save at the end of the source. */
function clone(play: Play, whole: boolean): boolean | 'unsupported' {
  const { sys } = play;
  if (sys === null) {
    return 'unsupported';
  }
  const from = play.pickOpen((open) => readable(open) && open.file.content.size > 0);
  const to = play.pickOpen((open) => writable(open) && !appends(open) && open.file !== from?.file);
  if (from === null || to === null) {
    return false;
  }
  const source = from.file.content;
  if (whole) {
    if (source.size % BLOCK !== 0 && source.size < to.file.content.size) {
      // Half a block in the middle of a file cannot be shared.
      return false;
    }
    play.note(`ficlone ${shown(from)} to ${shown(to)}`);
    if (!play.supported(sys.ficlone(to.fd, from.fd), 'FICLONE')) {
      return 'unsupported';
    }
    // What lies beyond the source's end stays.
    const target = to.file.content;
    target.zero(0, source.size);
    for (const block of source.blocks) {
      target.write(block * BLOCK, source.read(block * BLOCK, Math.min(BLOCK, source.size - block * BLOCK)));
    }
    target.size = Math.max(target.size, source.size);
    return true;
  }
  const { off, length } = play.range(from.file, true);
  const { off: offOut } = play.range(to.file, true);
  if (off + length > source.size - (source.size % BLOCK) || offOut + length > MAX_SIZE) {
    return false;
  }
  play.note(`ficlonerange ${shown(from)} ${off}+${length} to ${shown(to)} ${offOut}`);
  const range = Buffer.alloc(32);
  range.writeBigInt64LE(BigInt(from.fd), 0);
  range.writeBigUInt64LE(BigInt(off), 8);
  range.writeBigUInt64LE(BigInt(length), 16);
  range.writeBigUInt64LE(BigInt(offOut), 24);
  if (!play.supported(sys.ioctl(to.fd, FICLONERANGE, range), 'FICLONERANGE')) {
    return 'unsupported';
  }
  to.file.content.write(offOut, source.read(off, length));
  return true;
}
