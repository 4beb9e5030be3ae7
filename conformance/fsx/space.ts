/** Size and space: truncate(2), ftruncate(2) and the modes of fallocate(2). */
import * as c from 'stratafs/internal/sys/constants';
import { BLOCK } from './content.ts';
import { type Kind, type Kinds, MAX_SIZE, type OpenState, type Play, shown, writable } from './play.ts';

/** An fallocate of `mode` on some range; `ranged` gives the model's part or null where the call would be EINVAL. */
function allocating(
  weight: number,
  mode: number,
  aligned: boolean,
  model: (open: OpenState, off: number, length: number) => (() => void) | null,
): Kind {
  return {
    weight,
    run(play: Play) {
      const open = play.pickOpen(writable);
      if (open === null) {
        return false;
      }
      const { off, length } = play.range(open.file, aligned);
      const change = off + length > MAX_SIZE ? null : model(open, off, length);
      if (change === null) {
        return false;
      }
      play.note(`fallocate 0x${mode.toString(16)} ${shown(open)} ${off}+${length}`);
      if (!play.supported(play.door.fallocate(open.fd, mode, off, length), 'fallocate')) {
        return 'unsupported';
      }
      change();
      return true;
    },
  };
}

export const spaceKinds: Kinds = {
  truncate: {
    weight: 3,
    run(play) {
      const present = play.present();
      if (present.length === 0) {
        return false;
      }
      const [name, file] = play.rnd.pick(present);
      const size = play.size(file);
      play.note(`truncate ${name} ${file.content.size} -> ${size}`);
      play.ok(play.door.truncate(name, size), 'truncate');
      file.copied = true;
      file.content.truncate(size);
      return true;
    },
  },
  ftruncate: {
    weight: 4,
    run(play) {
      const open = play.pickOpen(writable);
      if (open === null) {
        return false;
      }
      const size = play.size(open.file);
      play.note(`ftruncate ${shown(open)} ${open.file.content.size} -> ${size}`);
      play.ok(play.door.ftruncate(open.fd, size), 'ftruncate');
      open.file.content.truncate(size);
      return true;
    },
  },
  'punch hole': allocating(
    4,
    c.FALLOC_FL_PUNCH_HOLE | c.FALLOC_FL_KEEP_SIZE,
    false,
    ({ file }, off, length) =>
      () =>
        file.content.zero(off, length),
  ),
  'zero range': allocating(3, c.FALLOC_FL_ZERO_RANGE, false, ({ file }, off, length) => () => {
    file.content.zero(off, length);
    file.content.size = Math.max(file.content.size, off + length);
  }),
  'zero range, same size': allocating(
    2,
    c.FALLOC_FL_ZERO_RANGE | c.FALLOC_FL_KEEP_SIZE,
    false,
    ({ file }, off, length) =>
      () =>
        file.content.zero(off, length),
  ),
  allocate: allocating(2, 0, false, ({ file }, off, length) => () => {
    file.content.size = Math.max(file.content.size, off + length);
  }),
  'allocate, same size': allocating(1, c.FALLOC_FL_KEEP_SIZE, false, () => () => {}),
  'collapse range': allocating(1, c.FALLOC_FL_COLLAPSE_RANGE, true, ({ file }, off, length) =>
    off + length < file.content.size ? () => file.content.collapse(off, length) : null,
  ),
  'insert range': allocating(1, c.FALLOC_FL_INSERT_RANGE, true, ({ file }, off, length) =>
    off < file.content.size && off % BLOCK === 0 && file.content.size + length <= MAX_SIZE
      ? () => file.content.insert(off, length)
      : null,
  ),
};
