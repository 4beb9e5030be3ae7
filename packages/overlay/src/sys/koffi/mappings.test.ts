import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { useTempDir } from '../../../test/support/temp-dir.ts';
import { MAP_PRIVATE, MAP_SHARED, MS_SYNC, O_RDONLY, O_RDWR, PROT_READ, PROT_WRITE } from '../constants.ts';
import { EACCES, EFAULT, EINVAL, ENODEV } from '../errno.ts';
import { openSys } from '../sys-koffi.ts';

const sys = openSys();
const dir = useTempDir(sys);
const PAGE = 4096;

function mapped(name: string, content: string, flags: number): { fd: number; at: number } {
  writeFileSync(dir.at(name), content);
  const fd = sys.openat(dir.fd, name, O_RDWR, 0);
  const at = sys.mmap(fd, 2 * PAGE, PROT_READ | PROT_WRITE, flags, 0);
  expect(at).toBeGreaterThan(0);
  return { fd, at };
}

function memory(at: number, len: number): string {
  const buf = Buffer.alloc(len + 1);
  expect(sys.readMemory(at, buf, 1, len)).toBe(len);
  return buf.toString('latin1', 1);
}

describe('mmap', () => {
  it('shares its bytes with the file, both ways', () => {
    const { fd, at } = mapped('shared', 'hello', MAP_SHARED);
    expect(memory(at, 6)).toBe('hello\0');
    expect(sys.writeMemory(at + 1, Buffer.from('..app..'), 2, 3)).toBe(3);
    const read = Buffer.alloc(5);
    expect(sys.pread(fd, read, 0, 5, 0)).toBe(5);
    expect(read.toString()).toBe('happo');
    expect(sys.pwrite(fd, Buffer.from('y'), 0, 1, 4)).toBe(1);
    expect(memory(at, 5)).toBe('happy');
    expect(sys.msync(at, PAGE, MS_SYNC)).toBe(0);
    expect(sys.munmap(at, 2 * PAGE)).toBe(0);
    sys.close(fd);
  });

  it('keeps a private mapping from the file', () => {
    const { fd, at } = mapped('private', 'hello', MAP_PRIVATE);
    expect(sys.writeMemory(at, Buffer.from('J'), 0, 1)).toBe(1);
    expect(memory(at, 5)).toBe('Jello');
    const read = Buffer.alloc(5);
    sys.pread(fd, read, 0, 5, 0);
    expect(read.toString()).toBe('hello');
    sys.munmap(at, 2 * PAGE);
    sys.close(fd);
  });

  it('answers EFAULT where an access would be a signal', () => {
    const { fd, at } = mapped('short', 'hello', MAP_SHARED);
    const buf = Buffer.alloc(2 * PAGE);
    expect(sys.readMemory(at + PAGE, buf, 0, 1)).toBe(-EFAULT);
    expect(sys.readMemory(at, buf, 0, 2 * PAGE)).toBe(-EFAULT);
    expect(sys.writeMemory(at + PAGE, buf, 0, 1)).toBe(-EFAULT);
    expect(sys.readMemory(at, buf, PAGE, 2 * PAGE)).toBe(-EFAULT);
    expect(sys.readMemory(at, buf, 0, 0)).toBe(0);
    sys.munmap(at, 2 * PAGE);
    expect(sys.readMemory(at, buf, 0, 1)).toBe(-EFAULT);
    const reader = sys.mmap(fd, PAGE, PROT_READ, MAP_SHARED, 0);
    expect(sys.writeMemory(reader, buf, 0, 1)).toBe(-EFAULT);
    sys.munmap(reader, PAGE);
    sys.close(fd);
  });

  it('answers errors of its kin', () => {
    writeFileSync(dir.at('f'), 'hello');
    const fd = sys.openat(dir.fd, 'f', O_RDONLY, 0);
    expect(sys.mmap(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0)).toBe(-EACCES);
    expect(sys.mmap(fd, PAGE, PROT_READ, MAP_SHARED, 1)).toBe(-EINVAL);
    expect(sys.mmap(dir.fd, PAGE, PROT_READ, MAP_SHARED, 0)).toBe(-ENODEV);
    expect(sys.munmap(1, PAGE)).toBe(-EINVAL);
    expect(sys.msync(1, PAGE, MS_SYNC)).toBe(-EINVAL);
    sys.close(fd);
  });
});
