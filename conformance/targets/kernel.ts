/** The kernel's overlay: the oracle of everything that a plain filesystem cannot say. */
import { type Backend, optionText } from '../backend.ts';
import { check } from '../expect.ts';
import { completeLazy, isLazy, withoutLazy } from './lazy.ts';
import { mountedView } from './mounted.ts';

export const kernel: Backend = {
  name: 'kernel',
  unavailable: (base) => (base.privileged ? null : base.reason),
  async mount(sys, layers) {
    if (isLazy(layers)) completeLazy(sys, layers);
    const result = sys.mount('overlay', layers.merged, 'overlay', 0, optionText(withoutLazy(layers)));
    if (result < 0) {
      return result;
    }
    return mountedView(sys, layers.merged, async () => {
      check(sys.umount2(layers.merged, 0), `umount ${layers.merged}`);
    });
  },
};
