/** Names of attributes that the escape makes longer than a name may be. */
import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { isRoot } from '../../test/support/temp-dir.ts';
import { me, useUnion, walk } from '../../test/support/union.ts';
import { EOPNOTSUPP } from '../sys/errno.ts';

const union = useUnion();
const prefix = isRoot ? 'trusted.overlay.' : 'user.overlay.';

test('are not supported, as on the kernel overlay, and copy nothing up', () => {
  writeFileSync(union.at('l1', 'file'), '');
  const o = union.mount();
  const file = walk(o, 'file');
  const longest = prefix.padEnd(255 - 'overlay.'.length, 'x');
  expect(o.setxattr(me, file, `${longest}x`, Buffer.from('v'), 0, false)).toBe(-EOPNOTSUPP);
  expect(o.getxattr(me, file, `${longest}x`)).toBe(-EOPNOTSUPP);
  expect(o.removexattr(me, file, `${longest}x`)).toBe(-EOPNOTSUPP);
  expect(o.nodes.get(file)?.upper).toBeNull();
  expect(o.setxattr(me, file, longest, Buffer.from('v'), 0, false)).toBe(0);
  expect(o.getxattr(me, file, longest)).toEqual(Buffer.from('v'));
});
