/** `uuid=`: whether an upper gets an identity, and what origins say of the lower's filesystem. */
import { lstat, writeFile } from '../calls.ts';
import { equal } from '../expect.ts';
import type { OverlayCases, OverlayGroup } from '../overlay-case.ts';
import type { Door } from '../target.ts';
import { dir, file } from '../tree.ts';

/** Where the filesystem's uuid lies in an origin. */
const FROM = 5;
const TO = 21;
const ZEROS = '\0'.repeat(TO - FROM);

/** The identity, from a case's directory in the upper: `group/case` lie between. */
function identity(upper: Door, mark: string): number {
  const value = upper.lgetxattr('../..', mark);
  return typeof value === 'number' ? 0 : value.length;
}

function uuidCases(mode: string): OverlayCases {
  const identified = mode === 'on' || mode === 'auto';
  return {
    [`uuid=${mode}: a new upper has ${identified ? 'an' : 'no'} identity, and a remount leaves it`]: {
      lowers: [{ f: file() }],
      upper: { own: file() },
      async run(_, t) {
        equal(identity(t.upper(), t.mark('uuid')), identified ? 16 : 0);
        const before = t.upper().lgetxattr('../..', t.mark('uuid'));
        await t.remount();
        equal(t.upper().lgetxattr('../..', t.mark('uuid')), before);
      },
    },
    [`uuid=${mode}: inode numbers survive copy-up and remount`]: {
      lowers: [{ f: file('f'), d: dir({ g: file('g') }) }],
      async run(m, t) {
        const before = [lstat(m, 'f').ino, lstat(m, 'd').ino, lstat(m, 'd/g').ino];
        writeFile(m, 'f', 'changed');
        writeFile(m, 'd/g', 'changed');
        m = await t.remount();
        equal([lstat(m, 'f').ino, lstat(m, 'd').ino, lstat(m, 'd/g').ino], before);
        const named = t.marked('f', 'origin')?.slice(FROM, TO);
        equal(named?.length, TO - FROM);
        if (mode === 'off') {
          equal(named, ZEROS);
        }
      },
    },
  };
}

export const uuidGroups: Readonly<Record<string, OverlayGroup>> = Object.fromEntries(
  ['off', 'null', 'auto', 'on'].map((mode) => [
    `uuid ${mode}`,
    { options: ['redirect_dir=on', `uuid=${mode}`], own: true, cases: uuidCases(mode) },
  ]),
);
