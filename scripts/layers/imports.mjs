// The import specifiers of a source text: static, type-only, re-exporting and dynamic ones alike.
import ts from 'typescript';

/**
 * @param {string} text
 * @returns {{ specifier: string, line: number }[]} lines count from 1
 */
export function importsOf(text) {
  return ts.preProcessFile(text, true, true).importedFiles.map(({ fileName, pos }) => ({
    specifier: fileName,
    line: text.slice(0, pos).split('\n').length,
  }));
}
