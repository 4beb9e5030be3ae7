/** Every overlay case, by the kind of mount that it plays on. */
import { chosen } from '../chosen.ts';
import type { OverlayGroup } from '../overlay-case.ts';
import { coherenceCases } from './coherence.ts';
import { copyUpCases } from './copy-up.ts';
import { escapeCases } from './escape.ts';
import { flagCopyUpCases } from './flags.ts';
import { overlayHandleCases } from './handles.ts';
import { firstLookupCases, identityCases } from './identity.ts';
import { indexCases, indexMountCases, userxattrIndexCases } from './index.ts';
import { markCases, markDifferentCases } from './marks.ts';
import {
  dataOnlyCases,
  dataOnlyOffCases,
  metacopyCases,
  metacopyDifferentCases,
  metacopyIndexCases,
  metacopyOffCases,
  verityCases,
} from './metacopy.ts';
import { readOnlyCases, userxattrCases, userxattrNoRedirectCases, volatileCases } from './mounts.ts';
import { nfsExportCases } from './nfs-export.ts';
import { opaqueCases } from './opaque.ts';
import { rareCallCases } from './rare-calls.ts';
import { followCases, nofollowCases, noRedirectCases, overlayRenameCases } from './rename.ts';
import { uuidGroups } from './uuid.ts';
import { vfsAnswerCases } from './vfs-answers.ts';
import { walkCases } from './walk.ts';
import { whiteoutCases } from './whiteouts.ts';
import { xwhiteoutCases } from './xwhiteouts.ts';

/** Names are for people and for directories. */
export const allGroups: Readonly<Record<string, OverlayGroup>> = {
  defaults: {
    options: ['redirect_dir=on'],
    cases: {
      ...walkCases,
      ...whiteoutCases,
      ...opaqueCases,
      ...coherenceCases,
      ...vfsAnswerCases,
      ...rareCallCases,
      ...copyUpCases,
      ...flagCopyUpCases,
      ...overlayRenameCases,
      ...identityCases,
      ...escapeCases('trusted', 'user'),
      ...xwhiteoutCases('trusted'),
      ...markCases,
    },
  },
  'redirect off': { options: ['redirect_dir=off'], cases: noRedirectCases },
  'redirect nofollow': { options: ['redirect_dir=nofollow'], cases: { ...noRedirectCases, ...nofollowCases } },
  'redirect follow': { options: ['redirect_dir=follow'], cases: { ...noRedirectCases, ...followCases } },
  'one lower': { options: ['redirect_dir=on'], lowers: 1, cases: walkCases },
  'read-only': { options: ['redirect_dir=follow'], writable: false, cases: readOnlyCases },
  metacopy: { options: ['redirect_dir=on', 'metacopy=on'], cases: metacopyCases },
  'layers by hand': {
    options: ['redirect_dir=on', 'metacopy=on'],
    own: true,
    cases: { ...metacopyDifferentCases, ...markDifferentCases },
  },
  'metacopy and index': {
    options: ['redirect_dir=on', 'index=on', 'metacopy=on'],
    own: true,
    cases: metacopyIndexCases,
  },
  'metacopy off': { options: ['redirect_dir=on', 'metacopy=off'], cases: metacopyOffCases },
  'verity on': { options: ['redirect_dir=on', 'metacopy=on', 'verity=on'], own: true, cases: verityCases('on') },
  'verity required': {
    options: ['redirect_dir=on', 'metacopy=on', 'verity=require'],
    own: true,
    cases: verityCases('require'),
  },
  'data-only unfollowed': { options: ['redirect_dir=on', 'metacopy=off'], dataLayers: 1, cases: dataOnlyOffCases },
  'data-only': { options: ['redirect_dir=on', 'metacopy=on'], dataLayers: 2, cases: dataOnlyCases },
  userxattr: {
    options: ['userxattr'],
    cases: {
      ...userxattrCases,
      ...userxattrNoRedirectCases,
      ...escapeCases('user', 'trusted'),
      ...xwhiteoutCases('user'),
    },
  },
  unmounted: { options: ['redirect_dir=on'], own: true, cases: firstLookupCases },
  index: { options: ['redirect_dir=on', 'index=on'], cases: indexCases },
  'index directory': { options: ['redirect_dir=on', 'index=on'], own: true, cases: indexMountCases },
  'userxattr and index': { options: ['userxattr', 'index=on'], own: true, cases: userxattrIndexCases },
  handles: { options: ['redirect_dir=on', 'nfs_export=on'], own: true, cases: overlayHandleCases },
  nfs_export: { options: ['redirect_dir=on', 'nfs_export=on'], own: true, cases: nfsExportCases },
  volatile: { options: ['redirect_dir=on', 'volatile'], own: true, cases: volatileCases },
  ...uuidGroups,
};

/** Of each group the cases that STRATA_CASES asks for; groups without any are not there. */
export function chosenGroups(groups: Readonly<Record<string, OverlayGroup>>): Record<string, OverlayGroup> {
  return Object.fromEntries(
    Object.entries(groups)
      .map(([name, group]) => [name, { ...group, cases: chosen(group.cases) }] as const)
      .filter(([, group]) => Object.keys(group.cases).length > 0),
  );
}

export const overlayGroups: Readonly<Record<string, OverlayGroup>> = chosenGroups(allGroups);

/** User xattrs cannot mark symlinks and FIFOs with their origin, so that a remount changes their numbers. */
const { 'inode numbers survive copy-up, rename and remount': _, ...identitiesWithoutOrigin } = identityCases;

/** The groups for a user who may mount nothing and sets no trusted xattrs: engine in process only. */
export const unprivilegedGroups: Readonly<Record<string, OverlayGroup>> = {
  'unprivileged userxattr': {
    options: ['userxattr', 'redirect_dir=on'],
    cases: {
      ...walkCases,
      ...userxattrCases,
      ...whiteoutCases,
      ...opaqueCases,
      ...copyUpCases,
      ...overlayRenameCases,
      ...identitiesWithoutOrigin,
    },
  },
};
