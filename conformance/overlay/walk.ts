/** The classic walk: what everybody does first with an overlay, and what its layers hold after it. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { appendFile, lstat, mtime, names, readFile, writeFile } from '../calls.ts';
import { bytesAre, equal, fails, modeIs, ok } from '../expect.ts';
import { isWhiteout, type OverlayCases } from '../overlay-case.ts';
import { dir, file, symlink } from '../tree.ts';

export const walkCases: OverlayCases = {
  'the classic walk': {
    lowers: [
      {
        'read-me': file('just read'),
        log: file('line 1\n', { mode: 0o640, mtime: [1_000, 1] }),
        'delete-me': file('gone'),
        conf: dir({ a: file('a'), b: dir({ c: file('c') }) }, { mode: 0o750 }),
        project: dir({ src: dir({ main: file('main') }), doc: symlink('src/main') }, { mtime: [2_000, 2] }),
      },
    ],
    async run(m, t) {
      bytesAre(readFile(m, 'read-me'), 'just read');
      writeFile(m, 'created', 'by hand');
      appendFile(m, 'log', 'line 2\n');
      ok(m.unlink('delete-me'));
      ok(m.unlink('conf/a'));
      ok(m.unlink('conf/b/c'));
      ok(m.rmdir('conf/b'));
      ok(m.rmdir('conf'));
      ok(m.mkdir('conf', 0o755));
      writeFile(m, 'conf/a', 'other');
      ok(m.rename('project', 'renamed'));

      const u = t.upper();
      equal(names(u, '.'), ['conf', 'created', 'delete-me', 'log', 'project', 'renamed']);
      bytesAre(readFile(u, 'log'), 'line 1\nline 2\n');
      modeIs(lstat(u, 'log').mode, 0o640);
      equal(isWhiteout(u, 'delete-me'), true);
      equal(lstat(u, 'delete-me').type, c.S_IFCHR);
      equal(t.marked('conf', 'opaque'), 'y');
      modeIs(lstat(u, 'conf').mode, 0o755);
      equal(t.marked('renamed', 'redirect'), 'project');
      equal(isWhiteout(u, 'project'), true);
      equal(mtime(lstat(u, 'renamed')), [2_000, 2]);
      equal(names(u, 'renamed'), []);

      m = await t.remount();
      equal(names(m, '.'), ['conf', 'created', 'log', 'read-me', 'renamed']);
      equal(names(m, 'conf'), ['a']);
      equal(names(m, 'renamed'), ['doc', 'src']);
      bytesAre(readFile(m, 'renamed/doc'), 'main');
      bytesAre(readFile(m, 'log'), 'line 1\nline 2\n');
      fails(e.ENOENT, m.lstat('delete-me'));
    },
  },
};
