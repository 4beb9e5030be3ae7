/** `strata explain`: which layer serves a path of a union and why, in words. */
import { type Explanation, explain as explainPath, type LayerAnswer } from 'stratafs/internal/diff/explain';
import { openLayers } from 'stratafs/internal/diff/open-layers';
import { parseOptions } from 'stratafs/internal/mount/parse-options';
import { show } from 'stratafs/internal/mount/paths';
import { type ByteString, fromText, printable } from 'stratafs/internal/sys/bytes';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG, S_IFSOCK } from 'stratafs/internal/sys/constants';
import { errnoName } from 'stratafs/internal/sys/errno';
import type { Stat } from 'stratafs/internal/sys/stat';
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { CliError, usageError } from '../cli-error.ts';
import { formatBytes } from '../output/bytes.ts';
import { bytesField } from '../output/json.ts';
import { print, printJson } from '../output/streams.ts';
import { storeRoot } from '../root.ts';
import { RunStore } from '../runs/record.ts';
import { layersOfMount, layersOfOptions, pathOfRun, type UnionPath } from '../union-layers.ts';
import type { DefineVerb } from '../verb.ts';
import { collect } from './mount.ts';

interface Flags {
  options?: ByteString[];
  json?: boolean;
  root?: ByteString;
}

export const explain: DefineVerb = (command, globals) => {
  command
    .description('Say which layer serves PATH and why: what each layer holds, and what a write would do.')
    .usage('[-o OPT,...]... [MERGED|NAME] PATH')
    .argument('<operands...>')
    .option('-o, --options <OPT,...>', 'the mount options of a union that need not be mounted', collect)
    .option('--json', 'as JSON (schema strata.explain/1)')
    .option('--root <DIR>', 'where runs are kept')
    .addHelpText(
      'after',
      `
MERGED is a mount point, NAME a run; with neither PATH is looked for in the union that it lies in.

Examples:
  strata explain /mnt etc/passwd
  strata explain /mnt/etc/passwd
  strata explain -o lowerdir=/two:/one,upperdir=/changes,workdir=/work etc/passwd`,
    )
    .action((operands: ByteString[], flags: Flags) => {
      const sys = openSys();
      const { layers, path } = findUnion();
      // No union has a name like this: what it means depends on the symlinks before it.
      if (path.split('/').includes('..'))
        throw new CliError(1, `${show(path)} goes through '..': give the path without`);
      const sb = openLayers(sys, layers);
      if ('errno' in sb) throw new CliError(1, sb.message);
      try {
        const explanation = explainPath(sb, path);
        if (flags.json) printJson(toJson(explanation));
        else print(fromText(sentences(explanation)));
      } finally {
        sb.destroy();
      }

      function findUnion(): UnionPath {
        if (flags.options !== undefined) {
          if (operands.length !== 1) throw usageError('with -o there is one operand, PATH');
          return { layers: layersOfOptions(sys, parseOptions(flags.options)), path: operands[0] };
        }
        if (operands.length > 2) throw usageError('there are more operands than MERGED or NAME, and PATH');
        if (operands.length === 1) return layersOfMount(sys, operands[0], null);
        const [where, path] = operands;
        if (!where.includes('/')) {
          const store = new RunStore(sys, storeRoot(sys, flags.root ?? globals.root).path);
          const record = store.list().some((run) => run.name === where || run.id.startsWith(where));
          if (record) return pathOfRun(store, store.find(where), path);
        }
        return layersOfMount(sys, where, path);
      }
    });
};

const types = new Map<number, string>([
  [S_IFREG, 'file'],
  [S_IFDIR, 'directory'],
  [S_IFLNK, 'symlink'],
  [S_IFCHR, 'character device'],
  [S_IFBLK, 'block device'],
  [S_IFIFO, 'FIFO'],
  [S_IFSOCK, 'socket'],
]);

function typeOf(st: Stat): string {
  return types.get(st.type) ?? 'object';
}

function layerName(layer: Pick<LayerAnswer, 'kind' | 'number'>): string {
  if (layer.kind === 'upper') return 'upper';
  return `${layer.kind === 'lower' ? 'lower' : 'data-only'} ${layer.number}`;
}

/** What the layer holds, as the end of a sentence. */
function holds(layer: LayerAnswer, all: readonly LayerAnswer[]): string {
  const { st, path } = layer;
  const object = st === null ? '' : `${typeOf(st)}${st.type === S_IFREG ? ` of ${formatBytes(st.size)}` : ''}`;
  const marks = [
    ...(layer.metacopy ? ['metadata alone: its data is in a layer below'] : []),
    ...(layer.incomplete ? ['its copy-up is not complete: what was not written is read from a layer below'] : []),
    ...(layer.opaque ? ['opaque: nothing below it is looked at'] : []),
    ...(layer.redirect === null ? [] : [`redirect: lower layers are asked for ${printable(layer.redirect)}`]),
  ];
  const note = marks.length > 0 ? ` (${marks.join('; ')})` : '';
  const at = printable(path);
  const hider = layerName(all.find((other) => other.number === layer.hiddenBy) ?? layer);
  switch (layer.holding) {
    case 'serves':
      return `${at}: ${object}${note}, which serves`;
    case 'merged':
      return `${at}: ${object}${note}, merged`;
    case 'data':
      return `${at}: ${object}, its data`;
    case 'unasked':
      return 'not asked: it holds nothing but data of files whose metadata is above';
    case 'hidden':
      return `${at}: ${object === '' ? 'whiteout' : object}, hidden by ${hider}`;
    case 'whiteout':
      return `${at}: whiteout, which hides it in the layers below`;
    case 'nothing':
      return `${at}: nothing`;
    case 'unreached':
      return `not looked at: the way to it ends at ${at}${layer.hiddenBy === null ? '' : `, hidden by ${hider}`}`;
  }
}

function sentences(e: Explanation): string {
  const server = e.layers.find((layer) => layer.holding === 'serves');
  const path = printable(e.path);
  const lines: string[] = [];
  if (e.errno !== 0) lines.push(`${path} cannot be looked up: ${errnoName(e.errno)}`);
  else if (!e.exists) lines.push(`${path} does not exist in the union`);
  else if (server === undefined) lines.push(`${path} is the root of the union`);
  else lines.push(`${path} is served by the ${layerName(server)}, '${server.label}'`);
  const width = Math.max(...e.layers.map((layer) => layerName(layer).length));
  for (const layer of e.layers) {
    lines.push(`  ${layerName(layer).padEnd(width)}  ${layer.label}`);
    lines.push(`  ${' '.repeat(width)}    ${holds(layer, e.layers)}`);
  }
  lines.push(write(e));
  return `${lines.join('\n')}\n`;
}

function write(e: Explanation): string {
  const { effect, bytes, directories } = e.write;
  const made =
    directories.length === 0
      ? ''
      : `, after the director${directories.length === 1 ? 'y' : 'ies'} ${directories.map(printable).join(' ')}`;
  switch (effect) {
    case 'in-place':
      return 'A write changes it in the upper; nothing is copied.';
    case 'copy-up':
      return `A write copies it up first: ${formatBytes(bytes)}${made}.`;
    case 'create':
      return `Creating it puts it in the upper${made}.`;
    case 'no-parent':
      return 'It cannot be created: the directory that would hold it does not exist.';
    case 'read-only':
      return 'The union has no upper: a write is refused.';
  }
}

function toJson(e: Explanation): Record<string, unknown> {
  return {
    schema: 'strata.explain/1',
    ...bytesField('path', e.path),
    exists: e.exists,
    error: e.errno === 0 ? null : errnoName(e.errno),
    layers: e.layers.map((layer) => ({
      kind: layer.kind,
      number: layer.number,
      layer: layer.label,
      holding: layer.holding,
      ...bytesField('path', layer.path),
      type: layer.st === null ? null : typeOf(layer.st),
      size: layer.st?.type === S_IFREG ? layer.st.size : null,
      opaque: layer.opaque,
      redirect: layer.redirect === null ? null : bytesField('path', layer.redirect),
      metacopy: layer.metacopy,
      incomplete: layer.incomplete,
      hiddenBy: layer.hiddenBy,
    })),
    write: {
      effect: e.write.effect,
      bytes: e.write.bytes,
      directories: e.write.directories.map((path) => bytesField('path', path)),
    },
  };
}
