/**
 * The commands under test, as every script of the interop tests finds them in its environment:
 * `$OVERLAY` and `$STRATA`. STRATA_OVERLAY=/usr/bin/fuse-overlayfs puts the model of our drop-in in
 * its place, which proves a test that stays within what the model can do.
 */
import path from 'node:path';

/** The checkout that the tests belong to. */
export const repository: string = path.resolve(import.meta.dirname, '../../..');

export const programs: Record<string, string> = {
  OVERLAY: process.env.STRATA_OVERLAY ?? path.join(repository, 'packages/cli/bin/strata-overlay'),
  STRATA: path.join(repository, 'packages/cli/bin/strata'),
};

/** bash: the processes that have /dev/fuse open, the youngest last. */
export const servers = `for fd in /proc/[0-9]*/fd/*; do
    if [ "$(readlink "$fd")" = /dev/fuse ]; then p=\${fd#/proc/}; echo "\${p%%/*}"; fi
  done 2> /dev/null | sort -nu`;
