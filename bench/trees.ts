/** Trees of files, as lowers. */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { writeNew } from './client.ts';

/** Names of `files` files in directories of `perDir`, two levels deep; `tag` makes trees of other names. */
export function treeNames(files: number, perDir: number, tag = ''): string[] {
  return Array.from({ length: files }, (_, i) => {
    const dir = Math.floor(i / perDir);
    const two = (n: number): string => String(n).padStart(2, '0');
    return `d${two(dir % 100)}/e${two(Math.floor(dir / 100))}/f${tag}${String(i).padStart(6, '0')}`;
  });
}

export function parents(names: readonly string[]): string[] {
  return [...new Set(names.map((name) => path.dirname(name)))];
}

export interface TreeShape {
  perDir?: number;
  size?: number;
  tag?: string;
}

export function makeTree(root: string, files: number, { perDir = 100, size = 1024, tag = '' }: TreeShape = {}): void {
  const names = treeNames(files, perDir, tag);
  for (const dir of parents(names)) fs.mkdirSync(path.join(root, dir), { recursive: true });
  const data = randomBytes(size);
  for (const name of names) writeNew(`${root}/${name}`, data);
}

export function makeFlat(dir: string, names: readonly string[], size = 0): void {
  fs.mkdirSync(dir, { recursive: true });
  const data = randomBytes(size);
  for (const name of names) writeNew(`${dir}/${name}`, data);
}

export function makeBig(file: string, mib: number): void {
  const fd = fs.openSync(file, 'wx');
  const block = randomBytes(1 << 20);
  for (let i = 0; i < mib; i++) fs.writeSync(fd, block);
  fs.fsyncSync(fd);
  fs.closeSync(fd);
}
