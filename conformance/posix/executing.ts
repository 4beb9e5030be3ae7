/** Programs that lie in the tree: executing them, and ETXTBSY on both sides. */
import { readFileSync } from 'node:fs';
import * as c from 'stratafs/internal/sys/constants';
import * as e from 'stratafs/internal/sys/errno';
import { open, readFile, vfs, writeFile } from '../calls.ts';
import { bytesAre, equal, fails, ok } from '../expect.ts';
import { fewPositions } from '../positions.ts';
import type { Cases } from '../target.ts';
import { dir, type FileNode, file, symlink } from '../tree.ts';

const program: Buffer = readFileSync('/bin/sleep');

function script(status: number): FileNode {
  return file(`#!/bin/sh\nexit ${status}\n`, { mode: 0o755 });
}

export const executingCases: Cases = {
  'a script runs, and its new content after it was rewritten': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { s: script(7), l: symlink('s'), d: dir({ s: script(9) }) },
    run(t) {
      equal(vfs(t).exec('s'), 7);
      equal(vfs(t).exec('l'), 7);
      equal(vfs(t).exec('d/s'), 9);
      writeFile(t, 's', '#!/bin/sh\nexit 8\n');
      equal(vfs(t).exec('s'), 8);
      ok(t.rename('d/s', 's'));
      equal(vfs(t).exec('s'), 9);
    },
  },
  'what is not executable gives EACCES': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { s: script(7), d: dir() },
    run(t) {
      ok(t.chmod('s', 0o644));
      fails(e.EACCES, vfs(t).exec('s'));
      ok(t.chmod('s', 0o500));
      equal(vfs(t).exec('s'), 7);
      fails(e.EACCES, vfs(t).exec('d'));
      fails(e.ENOENT, vfs(t).exec('new'));
    },
  },
  'executing what is open for writing gives ETXTBSY': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { s: script(7), p: file(program, { mode: 0o755 }) },
    run(t) {
      const writers = [open(t, 's', c.O_WRONLY), open(t, 'p', c.O_RDWR), open(t, 'p', c.O_WRONLY)];
      fails(e.ETXTBSY, vfs(t).exec('s'));
      fails(e.ETXTBSY, vfs(t).exec('p', '0'));
      for (const fd of writers) {
        ok(t.close(fd));
      }
      equal(vfs(t).exec('s'), 7);
      equal(vfs(t).exec('p', '0'), 0);
    },
  },
  'writing to a program that runs gives ETXTBSY, replacing it does not': {
    needs: ['vfs'],
    positions: fewPositions,
    tree: { p: file(program, { mode: 0o755 }), q: file('another') },
    run(t) {
      vfs(t).executing('p', ['1000'], () => {
        fails(e.ETXTBSY, t.open('p', c.O_WRONLY));
        fails(e.ETXTBSY, t.open('p', c.O_RDWR));
        fails(e.ETXTBSY, t.open('p', c.O_RDWR | c.O_TRUNC));
        fails(e.ETXTBSY, t.truncate('p', 0));
        bytesAre(readFile(t, 'p'), program);
        ok(t.chmod('p', 0o700));
        ok(t.link('p', 'new'));
        ok(t.rename('q', 'p'));
        writeFile(t, 'p', 'written');
        fails(e.ETXTBSY, t.open('new', c.O_WRONLY));
      });
      writeFile(t, 'new', 'written');
    },
  },
};
