/** The POSIX cases on plain filesystems: what the cases themselves are judged by. */
import { openSys } from 'stratafs/internal/sys/sys-koffi';
import { afterAll, describe } from 'vitest';
import { openBaseDir } from './base-dir.ts';
import { describePlain } from './posix-suite.ts';

const sys = openSys();
const base = openBaseDir(sys);
afterAll(() => base.close(), 60_000);

describe('plain', () => describePlain(sys, base, base.make('plain')));
