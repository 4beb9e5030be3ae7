/** The change set of a run: its upper against what lies under the view. */
import { type Change, type ChangeFailure, changeSet } from 'stratafs/internal/diff/change-set';
import { openLayers } from 'stratafs/internal/diff/open-layers';
import { AT_FDCWD } from 'stratafs/internal/sys/constants';
import { Stat } from 'stratafs/internal/sys/stat';
import type { Sys } from 'stratafs/internal/sys/sys';
import { CliError } from '../cli-error.ts';
import type { RunRecord, RunStore } from './record.ts';

/** @throws CliError where a layer is gone. */
export function runChanges(sys: Sys, store: RunStore, record: RunRecord): Change[] | ChangeFailure {
  const sb = openLayers(sys, {
    lowerdirs: record.lowers,
    upperdir: store.path(record.id, 'upper'),
    workdir: store.path(record.id, 'work'),
    userxattr: record.userxattr,
  });
  if ('errno' in sb) throw new CliError(1, sb.message);
  // The store root is no part of a directory that it lies in.
  const root = new Stat();
  const hidden = sys.statx(AT_FDCWD, store.root, 0, root) >= 0 ? [{ dev: root.dev, ino: root.ino }] : [];
  try {
    return changeSet(sb, { hidden });
  } finally {
    sb.destroy();
  }
}
