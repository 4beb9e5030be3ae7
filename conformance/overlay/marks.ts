/** The overlay's marks with values that no kernel writes, and on objects where it writes none: what is made of them. */
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { appendFile, exists, lstat, names, readFile, writeFile } from '../calls.ts';
import { bytesAre, equal, fails, ok } from '../expect.ts';
import type { OverlayCases } from '../overlay-case.ts';
import type { Door } from '../target.ts';
import { dir, fifo, file, symlink, whiteout } from '../tree.ts';

const d = dir({ f: file('lower') });

/** They share a mount with redirect_dir=on. */
export const markCases: OverlayCases = {
  'a redirect ends at its first NUL': {
    lowers: [{ d }],
    upper: { d: whiteout, r: dir({}, { redirect: 'd\0x' }) },
    run(m) {
      equal(names(m, 'r'), ['f']);
      bytesAre(readFile(m, 'r/f'), 'lower');
    },
  },
  ...Object.fromEntries(
    ['', '/', '/d/', '//d', 'd/f', '../d'].map((redirect) => [
      `the redirect ${JSON.stringify(redirect)} is EINVAL`,
      {
        lowers: [{ d }],
        upper: { d: whiteout, r: dir({}, { redirect }) },
        run: (m: Door) => fails(e.EINVAL, m.lstat('r')),
      },
    ]),
  ),
  ...Object.fromEntries(
    ['.', '..', '~/../d', '~/./d'].map((redirect) => [
      `the redirect ${JSON.stringify(redirect)} is EACCES`,
      {
        lowers: [{ d }],
        upper: { d: whiteout, r: dir({}, { redirect }) },
        run(m: Door) {
          fails(e.EACCES, m.lstat('r'));
          // Nor does an index of the names that there are make it nothing.
          names(m, '.');
          fails(e.EACCES, m.lstat('r'));
        },
      },
    ]),
  ),
  'redirects in a circle end with the layers': {
    lowers: [
      { a: dir({ top: file('') }, { redirect: 'b' }), b: dir({}, { redirect: 'a' }) },
      { a: dir({ low: file('') }), b: dir({ other: file('') }) },
    ],
    run(m) {
      equal(names(m, 'a'), ['other', 'top']);
      equal(names(m, 'b'), ['low']);
    },
  },
  'a redirect passes no symlink and no whiteout on its way': {
    lowers: [{ gone: whiteout }, { d, ln: symlink('d'), gone: d }],
    upper: {
      one: dir({ own: file('') }, { redirect: '~/ln' }),
      two: dir({ own: file('') }, { redirect: '~/gone' }),
      three: dir({ own: file('') }, { redirect: '~/ln/f' }),
    },
    run(m) {
      for (const name of ['one', 'two', 'three']) equal(names(m, name), ['own']);
    },
  },
  'opaque is nothing but y': {
    lowers: [{ d, e: d, g: d }],
    upper: {
      d: dir({}, { xattrs: { 'trusted.overlay.opaque': 'n' } }),
      e: dir({}, { xattrs: { 'trusted.overlay.opaque': '' } }),
      g: dir({}, { xattrs: { 'trusted.overlay.opaque': 'yy' } }),
    },
    needs: ['root'],
    run(m) {
      for (const name of ['d', 'e', 'g']) bytesAre(readFile(m, `${name}/f`), 'lower');
    },
  },
  'a listing takes away the impure mark for a rename that has failed': {
    lowers: [{ d }],
    upper: { pure: dir({ full: dir({ f: file() }) }) },
    run(m, t) {
      equal(names(m, 'pure'), ['full']);
      fails(e.ENOTEMPTY, m.rename('d', 'pure/full'));
      equal(t.marked('pure', 'impure'), 'y');
      equal(names(m, 'pure'), ['full']);
      equal(t.marked('pure', 'impure'), null);
    },
  },
  'impure is nothing but y': {
    lowers: [{ d }],
    upper: { d: dir({}, { xattrs: { 'trusted.overlay.impure': 'n' } }) },
    needs: ['root'],
    run(m, t) {
      ok(m.chmod('d/f', 0o600));
      equal(t.marked('d', 'impure'), 'y');
    },
  },
  'a FIFO that is marked immutable is': {
    lowers: [{ d }],
    upper: { p: fifo({ xattrs: { 'trusted.overlay.protattr': 'i' } }) },
    needs: ['root'],
    run(m) {
      fails(e.EPERM, m.chmod('p', 0o600));
      fails(e.EPERM, m.unlink('p'));
      equal(lstat(m, 'p').type, c.S_IFIFO);
    },
  },
  'marks of directories mean nothing on files': {
    lowers: [{ f: file('lower'), g: file('lower') }],
    upper: {
      f: file('own', { xattrs: { 'trusted.overlay.opaque': 'y', 'trusted.overlay.redirect': '~/g' } }),
    },
    needs: ['root'],
    run(m) {
      bytesAre(readFile(m, 'f'), 'own');
      writeFile(m, 'f', 'new');
      ok(m.unlink('f'));
      equal(exists(m, 'f'), false);
    },
  },
};

/** As docs/differences.md has it: what the kernel refuses to show twice. */
export const markDifferentCases: OverlayCases = {
  'two directories that one lower directory is merged into': {
    lowers: [{ d }],
    upper: { one: dir({}, { redirect: '~/d' }), two: dir({ own: file('') }, { redirect: '~/d' }) },
    run(m, t) {
      equal(names(m, 'one'), ['f']);
      if (t.ours) equal(names(m, 'two'), ['f', 'own']);
      else fails(e.ESTALE, m.lstat('two'));
    },
  },
  'two files that were copied up from one': {
    lowers: [{ f: file('f'), g: file('g'), h: file('h') }],
    needs: ['handles'],
    async run(m, t) {
      for (const name of ['f', 'g', 'h']) appendFile(m, name, '!');
      await t.unmount();
      ok(t.upper().lsetxattr('g', t.mark('origin'), Buffer.from(t.marked('f', 'origin') ?? '', 'latin1')));
      ok(t.upper().rename('h', 'moved'));
      m = await t.remount();
      bytesAre(readFile(m, 'f'), 'f!');
      if (t.ours) bytesAre(readFile(m, 'g'), 'g!');
      else fails(e.ESTALE, m.lstat('g'));
      // The kernel takes the lower for the copy of it that it knows.
      bytesAre(readFile(m, 'moved'), 'h!');
      bytesAre(readFile(m, 'h'), t.ours ? 'h' : 'h!');
    },
  },
  'a lower file that two redirects lead to is one file, and stays it': {
    lowers: [{ one: dir({}, { redirect: '~/d' }), two: dir({}, { redirect: '~/d' }), d: whiteout }, { d }],
    // Names that the VFS knows are names of the copy; others are looked up anew, and find the lower.
    needs: ['vfs'],
    async run(m, t) {
      equal(lstat(m, 'one/f').ino, lstat(m, 'two/f').ino);
      appendFile(m, 'one/f', ' one');
      appendFile(m, 'two/f', ' two');
      const look = (door: Door): void => {
        bytesAre(readFile(door, 'one/f'), 'lower one two');
        bytesAre(readFile(door, 'two/f'), 'lower one two');
        equal(lstat(door, 'one/f').nlink, 2);
      };
      look(m);
      look(await t.remount());
    },
  },
  'a lower file that two redirects lead to is there by one when it is removed by the other': {
    lowers: [{ one: dir({}, { redirect: '~/d' }), two: dir({}, { redirect: '~/d' }), d: whiteout }, { d }],
    // Names that the VFS knows are names of the copy; others are looked up anew, and find the lower.
    needs: ['vfs'],
    async run(m, t) {
      equal(lstat(m, 'one/f').ino, lstat(m, 'two/f').ino);
      ok(m.chmod('one/f', 0o600));
      ok(m.chmod('two/f', 0o640));
      ok(m.unlink('one/f'));
      const look = (door: Door): void => {
        bytesAre(readFile(door, 'two/f'), 'lower');
        equal(lstat(door, 'two/f').mode & 0o777, 0o640);
        fails(e.ENOENT, door.lstat('one/f'));
      };
      look(m);
      look(await t.remount());
    },
  },
};
