import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { XattrNames } from './xattrs.ts';

describe("escaping of the overlay's own attributes", () => {
  const names = new XattrNames(false);

  it.each([
    ['user.note', 'user.note'],
    ['trusted.other', 'trusted.other'],
    ['user.overlay.opaque', 'user.overlay.opaque'],
    ['trusted.overlay.opaque', 'trusted.overlay.overlay.opaque'],
    ['trusted.overlay.overlay.opaque', 'trusted.overlay.overlay.overlay.opaque'],
    ['trusted.overlay.', 'trusted.overlay.overlay.'],
  ])("a user's %s is kept as %s", (user, kept) => {
    expect(names.toLayer(user)).toBe(kept);
    expect(names.fromLayer(kept)).toBe(user);
  });

  it('the real ones are private, at any depth only those', () => {
    expect(names.isPrivate('trusted.overlay.opaque')).toBe(true);
    expect(names.fromLayer('trusted.overlay.opaque')).toBeNull();
    expect(names.isPrivate('trusted.overlay.overlay.opaque')).toBe(false);
    expect(names.isPrivate('user.overlay.opaque')).toBe(false);
  });

  it('userxattr turns the roles round', () => {
    const user = new XattrNames(true);
    expect(user.isPrivate('user.overlay.opaque')).toBe(true);
    expect(user.toLayer('trusted.overlay.opaque')).toBe('trusted.overlay.opaque');
  });

  it('nothing that a user can name reaches a private attribute', () => {
    fc.assert(
      fc.property(fc.boolean(), fc.string(), (userxattr, tail) => {
        const n = new XattrNames(userxattr);
        for (const name of [n.prefix + tail, tail]) {
          expect(n.isPrivate(n.toLayer(name))).toBe(false);
          expect(n.fromLayer(n.toLayer(name))).toBe(name);
        }
      }),
    );
  });
});
