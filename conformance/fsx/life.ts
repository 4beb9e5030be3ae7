/** Opening, closing, unlinking, syncing, and the questions about a file as a whole. */
import * as c from 'stratafs/internal/sys/constants';
import { ENXIO } from 'stratafs/internal/sys/errno';
import type { Stat } from 'stratafs/internal/sys/stat';
import { BLOCK, Content } from './content.ts';
import {
  appends,
  type FileState,
  type Kinds,
  LOW,
  Mismatch,
  type OpenState,
  type Play,
  readable,
  shown,
} from './play.ts';

const MAX_OPEN = 12;
/** Blocks compared at once; what O_DIRECT has room for. */
const PIECE = 64;

export const lifeKinds: Kinds = {
  open: {
    weight: 8,
    run(play) {
      const { rnd } = play;
      const [name, there] = rnd.pick([...play.names]);
      let flags = rnd.pick([c.O_RDONLY, c.O_RDONLY, c.O_WRONLY, c.O_RDWR, c.O_RDWR]);
      if (rnd.below(8) === 0) {
        flags |= c.O_TRUNC;
      }
      const special = rnd.below(16);
      if (special < 2) {
        flags |= c.O_APPEND;
      } else if (special < 4 && play.room !== null) {
        flags |= c.O_DIRECT;
      } else if (special === 4) {
        flags |= c.O_SYNC;
      }
      if (there === null) {
        flags |= c.O_CREAT;
      }
      if (play.opens.length >= MAX_OPEN) {
        close(play);
      }
      play.note(`open ${name} 0x${flags.toString(16)}`);
      const fd = play.ok<number>(play.door.open(name, flags, 0o644), 'open');
      const file = there ?? { label: name, content: new Content(), copied: true };
      play.names.set(name, file);
      if ((flags & c.O_TRUNC) !== 0) {
        file.content.truncate(0);
      }
      file.copied ||= (flags & (c.O_ACCMODE | c.O_TRUNC)) !== 0;
      play.opens.push({ fd, file, flags, early: !file.copied });
      return true;
    },
  },
  close: {
    weight: 4,
    run(play) {
      if (play.opens.length === 0) {
        return false;
      }
      close(play);
      return true;
    },
  },
  unlink: {
    weight: 1,
    run(play) {
      const present = play.present();
      // Without names there would soon be nothing that began in a lower.
      if (play.rnd.below(12) !== 0 || present.length < play.names.size - 2) {
        return false;
      }
      const [name] = play.rnd.pick(present);
      play.note(`unlink ${name}`);
      play.ok(play.door.unlink(name), 'unlink');
      play.names.set(name, null);
      return true;
    },
  },
  fsync: { weight: 2, run: (play) => sync(play, false) },
  fdatasync: { weight: 1, run: (play) => sync(play, true) },
  'forget pages': {
    weight: 1,
    run(play) {
      const open = play.pickOpen(() => true);
      if (play.sys === null || open === null) {
        return false;
      }
      play.note(`fsync and POSIX_FADV_DONTNEED ${shown(open)}`);
      play.ok(play.door.fsync(open.fd), 'fsync');
      play.ok(play.sys.fadvise(open.fd, 0, 0, c.POSIX_FADV_DONTNEED), 'fadvise');
      return true;
    },
  },
  'set flags': {
    weight: 2,
    run(play) {
      const open = play.pickOpen(() => play.room !== null);
      if (play.sys === null || open === null) {
        return play.sys === null ? 'unsupported' : false;
      }
      // O_APPEND only comes: docs/differences.md, "an upper file that was opened with O_APPEND".
      if (play.rnd.below(8) === 0) {
        open.flags |= c.O_APPEND;
      }
      // The end of a file is seldom where O_DIRECT could write.
      open.flags = appends(open) ? open.flags & ~c.O_DIRECT : open.flags ^ c.O_DIRECT;
      const settable = open.flags & (c.O_APPEND | c.O_DIRECT);
      play.note(`F_SETFL ${shown(open)} 0x${settable.toString(16)}`);
      play.ok(play.sys.fcntl(open.fd, c.F_SETFL, settable), 'F_SETFL');
      return true;
    },
  },
  chmod: {
    weight: 2,
    run(play) {
      const present = play.present();
      if (present.length === 0) {
        return false;
      }
      // With metacopy this copies up all but the data.
      const [name] = play.rnd.pick(present);
      const mode = play.rnd.pick([0o600, 0o640, 0o644]);
      play.note(`chmod ${name} ${mode.toString(8)}`);
      play.ok(play.door.chmod(name, mode), 'chmod');
      return true;
    },
  },
  stat: {
    weight: 4,
    run(play) {
      const open = play.pickOpen(() => true);
      if (open === null) {
        return false;
      }
      play.note(`fstat ${shown(open)}`);
      play.equal(play.ok<Stat>(play.door.fstat(open.fd), 'fstat').size, open.file.content.size, 'size by fstat');
      const name = [...play.names].find(([, file]) => file === open.file)?.[0];
      if (name !== undefined) {
        play.equal(play.ok<Stat>(play.door.stat(name), 'stat').size, open.file.content.size, 'size by stat');
      }
      return true;
    },
  },
  'seek data': {
    weight: 2,
    run(play) {
      const open = play.pickOpen(() => true);
      if (open === null || open.file.content.size === 0) {
        return false;
      }
      const { content } = open.file;
      const off = play.rnd.below(Math.min(content.size, LOW));
      play.note(`fsync and SEEK_DATA ${shown(open)} ${off}`);
      // What was stored through a mapping is data once it has been written back.
      play.ok(play.door.fsync(open.fd), 'fsync');
      const found = play.door.lseek(open.fd, off, c.SEEK_DATA);
      const end = found === -ENXIO ? content.size : play.ok<number>(found, 'SEEK_DATA');
      if (end < off || end > content.size) {
        throw new Mismatch(`SEEK_DATA from ${off} gave ${end}`);
      }
      for (const block of content.blocks) {
        const from = Math.max(off, block * BLOCK);
        const to = Math.min(end, block * BLOCK + BLOCK);
        if (from < to && content.read(from, to - from).some((byte) => byte !== 0)) {
          throw new Mismatch(`SEEK_DATA from ${off} gave ${end}, though there is data at ${from}`);
        }
      }
      return true;
    },
  },
  'compare all': {
    weight: 1,
    run(play) {
      const [name, file] = play.rnd.pick([...play.names]);
      if (file === null || play.rnd.below(4) !== 0) {
        return false;
      }
      play.note(`compare all of ${name}`);
      compareByName(play, name, file);
      return true;
    },
  },
};

function close(play: Play): void {
  const open = play.rnd.pick(play.opens);
  play.note(`close ${shown(open)}`);
  play.opens.splice(play.opens.indexOf(open), 1);
  play.ok(play.door.close(open.fd), 'close');
}

function sync(play: Play, dataOnly: boolean): boolean {
  const open = play.pickOpen(() => true);
  if (open === null) {
    return false;
  }
  play.note(`${dataOnly ? 'fdatasync' : 'fsync'} ${shown(open)}`);
  play.ok(dataOnly ? play.door.fdatasync(open.fd) : play.door.fsync(open.fd), 'fsync');
  return true;
}

/** Every byte of every open file, and of every name. */
export function compareAll(play: Play): void {
  for (const open of play.opens) {
    if (readable(open)) {
      compareWhole(play, open);
    }
  }
  compareNames(play);
}

export function compareNames(play: Play): void {
  for (const [name, file] of play.names) {
    if (file !== null) {
      compareByName(play, name, file);
    }
  }
}

function compareByName(play: Play, name: string, file: FileState): void {
  const fd = play.ok<number>(play.door.open(name, c.O_RDONLY), `open ${name}`);
  compareWhole(play, { fd, file, flags: c.O_RDONLY, early: false });
  play.ok(play.door.close(fd), 'close');
}

/** The whole file: what should be there, what lies near, and wherever else the filesystem has data. */
function compareWhole(play: Play, open: OpenState): void {
  const { door } = play;
  const { fd, file } = open;
  const { content } = file;
  play.equal(play.ok<Stat>(door.fstat(fd), 'fstat').size, content.size, `size of ${file.label}`);
  const blocks = new Set(content.blocks);
  for (let block = 0; block * BLOCK < Math.min(content.size, LOW); block++) {
    blocks.add(block);
  }
  for (let pos = 0; pos < content.size; ) {
    const data = door.lseek(fd, pos, c.SEEK_DATA);
    if (data === -ENXIO) {
      break;
    }
    const hole = play.ok<number>(door.lseek(fd, play.ok<number>(data, 'SEEK_DATA'), c.SEEK_HOLE), 'SEEK_HOLE');
    for (let block = Math.floor(data / BLOCK); block * BLOCK < hole; block++) {
      blocks.add(block);
    }
    pos = hole;
  }
  const order = [...blocks].sort((a, b) => a - b);
  for (let i = 0; i < order.length; ) {
    const first = order[i];
    let count = 0;
    while (count < PIECE && order[i] === first + count) {
      count++;
      i++;
    }
    const off = first * BLOCK;
    const length = Math.max(0, Math.min(count * BLOCK, content.size - off));
    const got = play.ok<Buffer>(play.pread(open, count * BLOCK, off), 'read');
    play.same(file, off, got, content.read(off, length), 'comparison of all of');
  }
}
