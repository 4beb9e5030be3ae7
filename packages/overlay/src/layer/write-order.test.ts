import { describe, expect, it } from 'vitest';
import { orderOf } from './write-order.ts';

describe('orderOf', () => {
  it.each([
    ['data=ordered\nnodelalloc\nbarrier', 'kept'],
    ['data=journal', 'kept'],
    ['data=writeback\ndelalloc\ndioread_nolock', 'kept'],
    // Without a journal nothing empties the device's cache before an extent is written.
    ['dioread_nolock\ndelalloc\ncommit=5\nbarrier', 'cached'],
    ['data=ordered\nnobarrier', 'cached'],
    ['data=writeback\ndelalloc\ndioread_lock', 'none'],
    ['data=writeback\nnodelalloc\ndioread_nolock', 'none'],
    ['nodelalloc\ndioread_nolock', 'none'],
    ['', 'none'],
  ])('%j: %s', (options, order) => {
    expect(orderOf(options)).toBe(order);
  });
});
