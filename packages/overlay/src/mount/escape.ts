/**
 * The backslash rules of `mount -t overlay -o …` (kernel: ovl_next_opt, ovl_parse_param_lowerdir,
 * ovl_unescape in fs/overlayfs/params.c), on byte strings:
 *
 *   - options are separated by `,`; a backslash takes the meaning from the byte that follows it
 *   - `lowerdir=` is a list separated by `:`; `::` begins the data-only layers
 *   - a value loses its backslashes last, when it has been cut out of everything around it
 *
 * One addition, as libmount reads it: an SELinux context in double quotes keeps its commas.
 */
import type { ByteString } from '../sys/bytes.ts';

/** Keys of SELinux contexts, whose values may be quoted. */
const contextOption = /^(?:fs|def|root)?context="$/;

/** Cuts `-o` text at its unescaped commas. Empty pieces are left out, as the kernel skips them. */
export function splitOptions(text: ByteString): ByteString[] {
  const options: ByteString[] = [];
  let start = 0;
  for (let i = 0; i <= text.length; i++) {
    if (text[i] === '\\' && i + 1 < text.length) i++;
    else if (text[i] === '"' && contextOption.test(text.slice(start, i + 1))) {
      const closing = text.indexOf('"', i + 1);
      if (closing > 0) i = closing;
    } else if (i === text.length || text[i] === ',') {
      if (i > start) options.push(text.slice(start, i));
      start = i + 1;
    }
  }
  return options;
}

/** Each backslash goes and the byte behind it stays, whatever it is. A last one without a follower stays. */
export function unescapeValue(value: ByteString): ByteString {
  return value.includes('\\') ? value.replace(/\\([\s\S])/g, '$1') : value;
}

/** What `unescapeValue` and the split at commas give back as `value`. */
export function escapeValue(value: ByteString): ByteString {
  return value.replace(/[\\,]/g, '\\$&');
}

/** As `escapeValue`, for one layer of a `:` list. */
export function escapeLayer(path: ByteString): ByteString {
  return path.replace(/[\\,:]/g, '\\$&');
}

export interface LayerList {
  lowerdirs: ByteString[];
  datadirs: ByteString[];
}

/**
 * Reads a `lowerdir=` list. The empty list is allowed and means "none" (it takes back what an
 * earlier `lowerdir=` said).
 * @returns the layers, or a sentence that says what is wrong with the list.
 */
export function parseLayerList(value: ByteString): LayerList | string {
  const list: LayerList = { lowerdirs: [], datadirs: [] };
  if (value === '') return list;
  const pieces: ByteString[] = [];
  let start = 0;
  for (let i = 0; i <= value.length; i++) {
    if (value[i] === '\\' && i + 1 < value.length) i++;
    else if (i === value.length || value[i] === ':') {
      pieces.push(value.slice(start, i));
      start = i + 1;
    }
  }
  if (pieces[0] === '') return 'lowerdir begins with a colon';
  if (pieces[pieces.length - 1] === '') return 'lowerdir ends with a colon';
  let data = false;
  for (let i = 0; i < pieces.length; i++) {
    const path = unescapeValue(pieces[i]);
    if (pieces[i] === '') {
      if (pieces[i + 1] === '') return 'lowerdir has three colons in a row';
      data = true;
    } else if (!data) list.lowerdirs.push(path);
    else if (pieces[i - 1] === '') list.datadirs.push(path);
    else return 'lowerdir has a regular layer behind a data-only one (each data-only layer follows a double colon)';
  }
  return list;
}

export function formatLayerList(list: LayerList): ByteString {
  return [list.lowerdirs.map(escapeLayer).join(':'), ...list.datadirs.map(escapeLayer)].join('::');
}
