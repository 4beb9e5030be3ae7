/**
 * File handles: what name_to_handle_at(2) gives, open_by_handle_at(2) opens. The kernel's overlay has them
 * with `nfs_export` only.
 */
import * as c from 'stratafs/internal/sys/constants';
import { look } from '../look.ts';
import { at, calls } from '../shell-words.ts';
import { said } from '../turn.ts';
import type { Kind, Kinds } from './kind.ts';

const handle: Kind = {
  weight: 2,
  // Root alone opens by handles.
  choose: (by) => ({
    user: 0,
    path: by.there('file', 'file', 'other', 'link'),
    flags: by.rnd.pick([c.O_RDONLY, c.O_PATH]),
  }),
  run(t, op) {
    const { sys, root } = t;
    const found = sys.statx(root, op.path, c.AT_SYMLINK_NOFOLLOW, t.stat);
    // docs/differences.md, "A lower directory whose handle is asked for is not copied up".
    if (found < 0 || t.stat.type === c.S_IFDIR) {
      return found < 0 ? said(found) : 'EISDIR';
    }
    const named = sys.nameToHandleAt(root, op.path, 0);
    if (typeof named === 'number') {
      return said(named);
    }
    const fd = sys.openByHandleAt(root, named.type, named.handle, op.flags | c.O_NONBLOCK);
    if (fd < 0) {
      return said(fd);
    }
    const shown = look(t, fd, '');
    sys.close(fd);
    return `opened ${shown}`;
  },
  shell: (op) => calls(['handle', at(op.path), `${op.flags === c.O_PATH ? 'O_PATH' : 'O_RDONLY'}|O_NONBLOCK`]),
};

export const handleKinds: Kinds = { handle };
