import { describe, expect, it } from 'vitest';
import { ordersExtents } from './write-order.ts';

describe('ordersExtents', () => {
  it.each([
    ['data=ordered\nnodelalloc', true],
    ['data=journal', true],
    ['data=writeback\ndelalloc\ndioread_nolock', true],
    ['dioread_nolock\ndelalloc\ncommit=5', true],
    ['data=writeback\ndelalloc\ndioread_lock', false],
    ['data=writeback\nnodelalloc\ndioread_nolock', false],
    ['', false],
  ])('%j: %s', (options, orders) => {
    expect(ordersExtents(options)).toBe(orders);
  });
});
