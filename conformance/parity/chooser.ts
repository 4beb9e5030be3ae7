/**
 * Chooses what an operation works on. Mostly something that is there and fits; sometimes something
 * that does not, or anything: errors are compared too.
 */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import type { Random } from '../random.ts';
import type { Known, NodeType, Slot } from './known.ts';
import { names, oddNames } from './vocabulary.ts';

const DEEP = 4;

export class Chooser {
  readonly rnd: Random;
  readonly known: Known;

  constructor(rnd: Random, known: Known) {
    this.rnd = rnd;
    this.known = known;
  }

  /** One of `of` times. */
  once(of: number): boolean {
    return this.rnd.below(of) === 0;
  }

  /** A path that is probably there, and one of `types` (`empty`: a directory without entries). */
  there(...types: (NodeType | 'any' | 'empty')[]): ByteString {
    const roll = this.rnd.below(100);
    if (roll < 86) {
      const list = this.known.list(this.rnd.pick(types));
      if (list.length > 0) {
        return this.rnd.pick(list);
      }
    }
    const any = this.known.list('any');
    return roll < 95 && any.length > 0 ? this.rnd.pick(any) : this.#anywhere();
  }

  /** The path of what is open, if it still has that name. */
  open(...types: (NodeType | 'any' | 'empty')[]): ByteString {
    const paths = this.known.slots.flatMap((slot) => (slot !== null && this.known.has(slot.path) ? [slot.path] : []));
    return paths.length > 0 ? this.rnd.pick(paths) : this.there(...types);
  }

  /** A path that is probably not there, in a directory that is. */
  free(): ByteString {
    if (this.once(10)) {
      return this.there('any');
    }
    for (let tries = 0; tries < 6; tries++) {
      const dir = this.rnd.pick(this.known.list('dir'));
      const path = dir === '.' ? this.#name() : `${dir}/${this.#name()}`;
      if (!this.known.has(path) && path.split('/').length <= DEEP) {
        return path;
      }
    }
    return this.#anywhere();
  }

  /** A descriptor that is probably open, and fits. */
  slot(fits: (slot: Slot) => boolean): number {
    const { slots } = this.known;
    const all = slots.flatMap((slot, i) => (slot !== null ? [i] : []));
    const fit = all.filter((i) => fits(slots[i]!));
    if (fit.length > 0 && !this.once(10)) {
      return this.rnd.pick(fit);
    }
    return all.length > 0 ? this.rnd.pick(all) : this.rnd.below(slots.length);
  }

  #name(): ByteString {
    return this.once(40) ? this.rnd.pick(oddNames) : this.rnd.pick(names);
  }

  #anywhere(): ByteString {
    return Array.from({ length: 1 + this.rnd.below(3) }, () => this.#name()).join('/');
  }
}
