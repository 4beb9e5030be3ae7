/** inotify(7): what a watcher is told of files and directories, before, during and after a copy-up. */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import { open, readFile, vfs, writeAll } from '../calls.ts';
import { bytesAre, equal, ok, truly } from '../expect.ts';
import { fewPositions } from '../positions.ts';
import type { Cases, WatchEvent } from '../target.ts';
import { dir, file } from '../tree.ts';

const words: readonly (readonly [string, number])[] = [
  ['access', c.IN_ACCESS],
  ['modify', c.IN_MODIFY],
  ['attrib', c.IN_ATTRIB],
  ['close-write', c.IN_CLOSE_WRITE],
  ['close', c.IN_CLOSE_NOWRITE],
  ['open', c.IN_OPEN],
  ['from', c.IN_MOVED_FROM],
  ['to', c.IN_MOVED_TO],
  ['create', c.IN_CREATE],
  ['delete', c.IN_DELETE],
  ['delete-self', c.IN_DELETE_SELF],
  ['move-self', c.IN_MOVE_SELF],
  ['ignored', c.IN_IGNORED],
  ['dir', c.IN_ISDIR],
];

/** `create new`, `modify`: events as words. */
function told(events: readonly WatchEvent[]): ByteString[] {
  return events.map(({ mask, name }) =>
    [...words.filter(([, bit]) => (mask & bit) !== 0).map(([word]) => word), name].join(' ').trim(),
  );
}

const ALL = 0xfff;

export const watchCases: Cases = {
  'inotify: a directory tells what is made, moved and removed in it': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { d: dir({ f: file('f'), sub: dir() }), e: dir() },
    run(t) {
      const events = vfs(t).watch('d', c.IN_CREATE | c.IN_MOVED_FROM | c.IN_MOVED_TO | c.IN_DELETE);
      const elsewhere = vfs(t).watch('e', c.IN_MOVED_TO);
      ok(t.mkdir('d/new'));
      ok(t.symlink('x', 'd/new2'));
      ok(t.link('d/f', 'd/new3'));
      ok(t.close(open(t, 'd/moved2', c.O_CREAT | c.O_WRONLY)));
      equal(told(events()), ['create dir new', 'create new2', 'create new3', 'create moved2']);
      ok(t.rename('d/f', 'd/moved'));
      const [from, to] = events();
      equal(told([from, to]), ['from f', 'to moved']);
      truly(from.cookie !== 0 && from.cookie === to.cookie, 'one cookie');
      ok(t.rename('d/moved', 'e/moved'));
      ok(t.unlink('d/new3'));
      ok(t.rmdir('d/sub'));
      equal(told(events()), ['from moved', 'delete new3', 'delete dir sub']);
      equal(told(elsewhere()), ['to moved']);
    },
  },
  'inotify: a directory tells of the files in it': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { d: dir({ f: file('content') }) },
    run(t) {
      const events = vfs(t).watch('d', ALL);
      const fd = open(t, 'd/f', c.O_RDWR);
      writeAll(t, fd, 'x');
      bytesAre(t.read(fd, 2), 'on');
      ok(t.fchmod(fd, 0o600));
      ok(t.ftruncate(fd, 3));
      ok(t.close(fd));
      equal(told(events()), ['open f', 'modify f', 'access f', 'attrib f', 'modify f', 'close-write f']);
      ok(t.setxattr('d/f', 'user.a', '1'));
      ok(t.utimens('d/f', [1, 1], 'omit'));
      equal(new Set(told(events())), new Set(['attrib f', 'access f']));
      ok(t.chmod('d', 0o700));
      equal(told(events()), ['attrib dir']);
    },
  },
  'inotify: a watch of a file goes on through copy-up, rename and another name': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { f: file('content') },
    run(t) {
      const events = vfs(t).watch(
        'f',
        c.IN_MODIFY | c.IN_ATTRIB | c.IN_CLOSE_WRITE | c.IN_CLOSE_NOWRITE | c.IN_MOVE_SELF | c.IN_DELETE_SELF,
      );
      bytesAre(readFile(t, 'f'), 'content');
      equal(told(events()), ['close']);
      const fd = open(t, 'f', c.O_RDWR);
      writeAll(t, fd, 'x');
      ok(t.close(fd));
      equal(told(events()), ['modify', 'close-write']);
      ok(t.rename('f', 'moved'));
      equal(told(events()), ['move-self']);
      ok(t.truncate('moved', 2));
      ok(t.link('moved', 'new'));
      equal(told(events()), ['modify', 'attrib']);
      ok(t.unlink('moved'));
      equal(told(events()), ['attrib']);
      ok(t.unlink('new'));
      equal(told(events()), ['attrib', 'delete-self', 'ignored']);
    },
  },
  'inotify: a watch of a directory ends when it is removed': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { d: dir({ sub: dir() }) },
    run(t) {
      const events = vfs(t).watch('d', c.IN_DELETE | c.IN_DELETE_SELF | c.IN_MOVE_SELF);
      ok(t.rmdir('d/sub'));
      equal(told(events()), ['delete dir sub']);
      ok(t.rmdir('d'));
      equal(told(events()), ['delete-self', 'ignored']);
    },
  },
};
