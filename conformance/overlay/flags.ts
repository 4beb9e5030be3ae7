/** chattr(1) flags and copy-up: where they are kept, and which of a lower's go along. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { names, readFile, writeFile } from '../calls.ts';
import { bytesAre, equal, fails, ok } from '../expect.ts';
import type { OverlayCases, Union } from '../overlay-case.ts';
import { chattr, flagsOf } from '../posix/flags.ts';
import type { Door } from '../target.ts';
import { dir, file } from '../tree.ts';

const PROTECTION: number = c.FS_IMMUTABLE_FL | c.FS_APPEND_FL;

/** The flags that the case's own changes have left on the upper's real inode. */
function real(t: Union, path: string): number {
  return flagsOf(t.upper(), path) & (PROTECTION | c.FS_NOATIME_FL | c.FS_NODUMP_FL);
}

function shown(m: Door, path: string): number {
  return flagsOf(m, path) & (PROTECTION | c.FS_NOATIME_FL | c.FS_NODUMP_FL);
}

export const flagCopyUpCases: OverlayCases = {
  'immutable and append-only are kept in protattr, other flags on the upper': {
    lowers: [{ f: file('content'), d: dir({ x: file() }) }],
    needs: ['root'],
    async run(m, t) {
      for (const path of ['f', 'd']) {
        try {
          ok(chattr(m, path, c.FS_IMMUTABLE_FL));
          equal(t.marked(path, 'protattr'), 'i');
          ok(chattr(m, path, c.FS_APPEND_FL | c.FS_NODUMP_FL));
          equal(t.marked(path, 'protattr'), 'ai');
          equal(real(t, path), c.FS_NODUMP_FL);
          ok(chattr(m, path, 0, c.FS_IMMUTABLE_FL));
          equal(t.marked(path, 'protattr'), 'a');
        } finally {
          chattr(m, path, 0, PROTECTION);
        }
        equal(t.marked(path, 'protattr'), null);
        equal(shown(m, path), c.FS_NODUMP_FL);
      }
      ok(chattr(m, 'f', c.FS_IMMUTABLE_FL));
      m = await t.remount();
      equal(shown(m, 'f'), c.FS_IMMUTABLE_FL | c.FS_NODUMP_FL);
      fails(e.EPERM, m.open('f', c.O_WRONLY));
      fails(e.EPERM, m.unlink('f'));
      ok(chattr(m, 'f', 0, c.FS_IMMUTABLE_FL));
      writeFile(m, 'f', 'changed');
    },
  },
  'a lower’s noatime goes along with a copy-up, nodump does not': {
    lowers: [
      {
        f: file('content', { flags: c.FS_NOATIME_FL | c.FS_NODUMP_FL }),
        d: dir({ x: file() }, { flags: c.FS_NOATIME_FL | c.FS_NODUMP_FL }),
        empty: file('', { flags: c.FS_NOATIME_FL | c.FS_NODUMP_FL }),
      },
    ],
    needs: ['root'],
    run(m, t) {
      for (const path of ['f', 'd', 'empty']) {
        equal(shown(m, path), c.FS_NOATIME_FL | c.FS_NODUMP_FL);
        ok(m.chmod(path, 0o700));
        equal(real(t, path), c.FS_NOATIME_FL);
        equal(shown(m, path), c.FS_NOATIME_FL);
      }
    },
  },
  'a lower’s immutable file is immutable in the union': {
    lowers: [{ f: file('content', { flags: c.FS_IMMUTABLE_FL }), g: file('content') }],
    needs: ['root'],
    run(m, t) {
      equal(shown(m, 'f'), c.FS_IMMUTABLE_FL);
      fails(e.EPERM, m.open('f', c.O_WRONLY));
      fails(e.EPERM, m.chmod('f', 0o600));
      fails(e.EPERM, m.unlink('f'));
      fails(e.EPERM, m.rename('g', 'f'));
      equal(t.inUpper('f'), false);
      // Changing another flag copies up, with what protects.
      ok(chattr(m, 'f', c.FS_NODUMP_FL));
      equal(t.marked('f', 'protattr'), 'i');
      equal(real(t, 'f'), c.FS_NODUMP_FL);
      fails(e.EPERM, m.open('f', c.O_WRONLY));
      ok(chattr(m, 'f', 0, c.FS_IMMUTABLE_FL));
      equal(t.marked('f', 'protattr'), null);
      writeFile(m, 'f', 'changed');
      bytesAre(readFile(m, 'f'), 'changed');
    },
  },
  'a lower’s append-only file is copied up when it is appended to, and stays append-only': {
    lowers: [{ f: file('content', { flags: c.FS_APPEND_FL }) }],
    needs: ['root'],
    run(m, t) {
      fails(e.EPERM, m.open('f', c.O_WRONLY));
      const fd = ok<number>(m.open('f', c.O_WRONLY | c.O_APPEND));
      equal(m.write(fd, '+'), 1);
      equal(t.marked('f', 'protattr'), 'a');
      equal(real(t, 'f'), 0);
      bytesAre(readFile(m, 'f'), 'content+');
      fails(e.EPERM, m.unlink('f'));
      ok(chattr(m, 'f', 0, c.FS_APPEND_FL));
      ok(m.unlink('f'));
    },
  },
  'a lower’s immutable directory keeps its names, and keeps the flag when something below it is copied up': {
    lowers: [{ d: dir({ x: file('x'), sub: dir({ y: file('y') }) }, { flags: c.FS_IMMUTABLE_FL }) }],
    needs: ['root'],
    run(m, t) {
      fails(e.EPERM, m.mkdir('d/new'));
      fails(e.EPERM, m.unlink('d/x'));
      fails(e.EPERM, m.rmdir('d'));
      fails(e.EPERM, m.rename('d', 'moved'));
      equal(t.inUpper('d'), false);
      writeFile(m, 'd/x', 'changed');
      equal(t.marked('d', 'protattr'), 'i');
      equal(real(t, 'd'), 0);
      fails(e.EPERM, m.unlink('d/x'));
      writeFile(m, 'd/sub/new', 'made');
      equal(names(m, 'd/sub'), ['new', 'y']);
      ok(chattr(m, 'd', 0, c.FS_IMMUTABLE_FL));
      ok(m.unlink('d/x'));
    },
  },
  'an upper’s protattr counts when there is nothing unknown in it': {
    lowers: [{}],
    upper: {
      known: file('', { xattrs: { 'trusted.overlay.protattr': 'i' } }),
      both: file('', { xattrs: { 'trusted.overlay.protattr': 'ia' } }),
      twice: file('', { xattrs: { 'trusted.overlay.protattr': 'aa' } }),
      unknown: file('', { xattrs: { 'trusted.overlay.protattr': 'a?i' } }),
      empty: file('', { xattrs: { 'trusted.overlay.protattr': '' } }),
      d: dir({ x: file() }, { xattrs: { 'trusted.overlay.protattr': 'a' } }),
    },
    needs: ['root'],
    run(m, t) {
      equal(shown(m, 'known'), c.FS_IMMUTABLE_FL);
      equal(shown(m, 'both'), PROTECTION);
      equal(shown(m, 'twice'), c.FS_APPEND_FL);
      equal([shown(m, 'unknown'), shown(m, 'empty')], [0, 0]);
      equal(shown(m, 'd'), c.FS_APPEND_FL);
      fails(e.EPERM, m.rename('known', 'unknown'));
      fails(e.EPERM, m.unlink('d/x'));
      writeFile(m, 'd/new', 'made');
      for (const path of ['known', 'both', 'd']) {
        ok(chattr(m, path, 0, PROTECTION));
        equal(t.marked(path, 'protattr'), null);
      }
      ok(m.rename('known', 'unknown'));
      ok(m.unlink('d/x'));
    },
  },
  'what protects the upper’s real inode protects in the union, and cannot be taken away by it': {
    lowers: [{}],
    upper: { f: file('content', { flags: c.FS_IMMUTABLE_FL }), d: dir({ x: file() }) },
    needs: ['root'],
    run(m, t) {
      equal(shown(m, 'f'), c.FS_IMMUTABLE_FL);
      fails(e.EPERM, m.open('f', c.O_WRONLY));
      fails(e.EPERM, m.unlink('f'));
      fails(e.EPERM, chattr(m, 'f', 0, c.FS_IMMUTABLE_FL));
      equal(real(t, 'f'), c.FS_IMMUTABLE_FL);
    },
  },
};
