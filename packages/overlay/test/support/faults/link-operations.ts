/** Compound operations on hard links, and on files of metadata alone: they need the index and metacopy. */
import { expect } from 'vitest';
import { EntryOut } from '../../../src/ops/ops.ts';
import { O_WRONLY, RENAME_EXCHANGE } from '../../../src/sys/constants.ts';
import { Stat } from '../../../src/sys/stat.ts';
import { me, stat, walk } from '../union.ts';
import { must, Refused } from './layers.ts';
import {
  apart,
  cloning,
  type Operation,
  openAndClose,
  opening,
  redirecting,
  renaming,
  run,
  setMode,
} from './operation.ts';
import { operations } from './operations.ts';

/** What is done to `linked`, which is `linked2` too. */
export const linkOperations: Readonly<Record<string, Operation>> = {
  'copy up one of two links': opening('linked'),
  'find the other link': {
    prepare(o) {
      if (walk(o, 'linked') < 0 || stat(o, 'linked').nlink < 2) throw new Refused('it has no other link');
      must(setMode(o, 'linked', 0o600));
      return () => {
        const out = new EntryOut(new Stat());
        const result = o.lookup(me, 1, 'linked2', out);
        if (result >= 0) o.forget(out.nodeid, 1);
        if (result >= 0) expect(out.attr.mode & 0o777).toBe(0o600);
        return result;
      };
    },
  },
  'copy up the other link': {
    prepare(o) {
      const nodeid = walk(o, 'linked2');
      must(setMode(o, 'linked', 0o600));
      return () => openAndClose(o, nodeid, O_WRONLY);
    },
  },
  'link one of two links': operations['link one of two links'],
  'unlink one of two links': run((o) => o.unlink(me, 1, 'linked')),
  'unlink one of two links in use': {
    prepare(o) {
      walk(o, 'linked');
      return () => o.unlink(me, 1, 'linked');
    },
  },
  'unlink one of two links that were copied up': {
    prepare(o) {
      must(setMode(o, 'linked', 0o600));
      return () => o.unlink(me, 1, 'linked2');
    },
  },
  'unlink the last of two links': {
    prepare(o) {
      must(setMode(o, 'linked', 0o600));
      must(o.unlink(me, 1, 'linked'));
      return () => o.unlink(me, 1, 'linked2');
    },
  },
  'rename one of two links': renaming('linked', 'dir/made'),
  'rename over one of two links': renaming('new', 'linked'),
  'rename over the last of two links': {
    prepare(o) {
      must(setMode(o, 'linked', 0o600));
      must(o.unlink(me, 1, 'linked'));
      return renaming('file', 'linked2').prepare(o);
    },
  },
  'exchange one of two links': renaming('linked', 'new', RENAME_EXCHANGE),
};

/** With the metadata of `name` alone in the upper. */
const ofMetadataAlone = (name: string, operation: Operation): Operation => ({
  ...operation,
  prepare(o) {
    must(setMode(o, name, 0o600));
    return operation.prepare(o);
  },
});

const completing = (name: string, operation: Operation): Operation => ({
  ...ofMetadataAlone(name, operation),
  completes: true,
});

/** What is done to a file of which the upper has the metadata alone. */
export const metacopyOperations: Readonly<Record<string, Operation>> = {
  'complete a file': completing('file', opening('file')),
  'complete a big file in chunks': { ...completing('big', opening('big')), on: apart },
  'complete a file by a clone': { ...completing('big', opening('big')), on: cloning },
  'complete a file with holes': completing('sparse', opening('sparse')),
  'complete one of two links': completing('linked', opening('linked2')),
  'truncate a file of metadata alone': ofMetadataAlone('file', operations['copy up by truncating']),
  'open a file of metadata alone with O_TRUNC': ofMetadataAlone('file', operations['open with O_TRUNC']),
  'chown a file of metadata alone': ofMetadataAlone('file', operations['chown a lower file']),
  'link a file of metadata alone': redirecting(ofMetadataAlone('file', operations['link a lower file'])),
  'rename a file of metadata alone': redirecting(ofMetadataAlone('file', renaming('file', 'made'))),
  'rename a file of metadata alone elsewhere': redirecting(ofMetadataAlone('file', renaming('file', 'merged/made'))),
  'unlink a file of metadata alone': ofMetadataAlone('file', operations['unlink a lower file']),
  'exchange two files of metadata alone': redirecting(
    ofMetadataAlone('file2', ofMetadataAlone('file', operations['exchange two lower files'])),
  ),
};
