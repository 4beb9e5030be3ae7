/** Every POSIX case by its name; a name that two topics share is a mistake and throws. */
import { chosen } from '../chosen.ts';
import type { Case, Cases } from '../target.ts';
import { aclCases } from './acl.ts';
import { attributeCases } from './attributes.ts';
import { dataCases } from './data.ts';
import { executingCases } from './executing.ts';
import { flagCases } from './flags.ts';
import { furtherCallCases } from './further-calls.ts';
import { handleCases } from './handles.ts';
import { limitCases } from './limits.ts';
import { lockCases } from './locks.ts';
import { mappingCases } from './mappings.ts';
import { nameCases } from './names.ts';
import { oddNameCases } from './odd-names.ts';
import { openCases } from './open.ts';
import { ownershipCases } from './ownership.ts';
import { permissionCases } from './permissions.ts';
import { privilegeCases } from './privileges.ts';
import { readdirCases } from './readdir.ts';
import { renameCases } from './rename.ts';
import { specialCases } from './special.ts';
import { tmpfileCases } from './tmpfile.ts';
import { umaskCases } from './umask.ts';
import { unnamedCases } from './unnamed.ts';
import { watchCases } from './watches.ts';
import { xattrCases } from './xattr.ts';

const topics: readonly Cases[] = [
  aclCases,
  attributeCases,
  dataCases,
  flagCases,
  executingCases,
  furtherCallCases,
  handleCases,
  limitCases,
  lockCases,
  mappingCases,
  nameCases,
  oddNameCases,
  openCases,
  ownershipCases,
  permissionCases,
  privilegeCases,
  readdirCases,
  renameCases,
  specialCases,
  tmpfileCases,
  umaskCases,
  unnamedCases,
  watchCases,
  xattrCases,
];

function gather(): Cases {
  const all: Record<string, Case> = {};
  for (const topic of topics) {
    for (const [name, test] of Object.entries(topic)) {
      if (name in all) {
        throw new Error(`two POSIX cases are called ${name}`);
      }
      all[name] = test;
    }
  }
  return all;
}

export const posixCases: Cases = chosen(gather());
