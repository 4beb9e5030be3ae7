import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { fromText } from 'stratafs/internal/sys/bytes';
import { expect, it } from 'vitest';
import { exactCommand } from './exact-command.ts';

it('leaves text to Node', () => {
  expect(exactCommand(['cmd', fromText('é')], ['A=1', fromText('B=ü'), 'A=2', 'nothing'])).toEqual({
    file: 'cmd',
    args: ['é'],
    env: { A: '2', B: 'ü' },
  });
});

it('hands over any bytes', () => {
  const bytes = fc.string({ unit: fc.integer({ min: 1, max: 255 }).map((c) => String.fromCharCode(c)), maxLength: 6 });
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 3 }), bytes, (args, value) => {
      const show = ['sh', '-c', 'printf "%s\\001" "$@" "$X"', 'sh'];
      const { file, args: rest, env } = exactCommand([...show, ...args, '\xff'], ['PATH=/usr/bin:/bin', `X=${value}`]);
      const out = spawnSync(file, rest, { env, encoding: 'latin1' });
      expect(out.stdout).toBe([...args, '\xff', value].map((arg) => `${arg}\x01`).join(''));
    }),
    { numRuns: 30 },
  );
});
