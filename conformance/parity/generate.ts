/** The next operation of a random sequence, by what is known to be there. */
import * as c from 'stratafs/internal/sys/constants';
import type { Random } from '../random.ts';
import { Chooser } from './chooser.ts';
import { kinds, kindsOf } from './kinds/all.ts';
import { LINKS } from './kinds/names.ts';
import { Known } from './known.ts';
import type { Mode } from './modes.ts';
import { type Operation, operation } from './operation.ts';
import { isFailure } from './turn.ts';
import type { View } from './view.ts';
import { umasks, users } from './vocabulary.ts';

/** The tree is kept between these sizes, so that looking at all of it stays cheap. */
const SMALL = 35;
const LARGE = 110;

/** Every so many operations times are looked at. */
const WATCHED = 4;

const making: readonly string[] = ['mkdir', 'create', 'symlink', 'link', 'mknod', 'tmpfile', 'slot-link'];
/** What was in the slot is closed, whether another comes or not. */
const opening: readonly string[] = ['slot-open', 'slot-orphan', 'slot-tmpfile'];
const removing: readonly string[] = ['unlink', 'rmdir', 'rm -r'];

export class Generator {
  readonly #rnd: Random;
  readonly #metacopy: boolean;
  readonly #wheel: readonly string[];
  #known: Known = new Known();
  /** Every kind as often as its weight says, shuffled: what is left of it. */
  #deck: string[] = [];

  /**
   * With `metacopy=on` files of metadata alone are made: one that is linked where no redirect reaches ends the round
   * (match.ts). So that rounds last, `long-names` links none; names of the greatest length come seldom otherwise.
   */
  constructor(rnd: Random, mode: Mode) {
    this.#rnd = rnd;
    this.#metacopy = mode.options.includes('metacopy=on');
    this.#wheel = kindsOf(mode).flatMap((name) => Array.from({ length: kinds[name].weight }, () => name));
  }

  next(): Operation {
    for (;;) {
      const op = this.#any();
      if (!(this.#metacopy && op.kind === 'long-names' && op.off === LINKS)) return op;
    }
  }

  #any(): Operation {
    const kind = this.#kind();
    const user = this.#rnd.pick(users);
    const umask = this.#rnd.pick(umasks);
    const watched = this.#rnd.below(WATCHED) === 0 ? 1 : 0;
    return operation({ kind, user, umask, watched, ...kinds[kind].choose(new Chooser(this.#rnd, this.#known)) });
  }

  #kind(): string {
    const kind = this.#draw();
    const { size } = this.#known;
    const unfit = (size < SMALL && removing.includes(kind)) || (size > LARGE && making.includes(kind));
    return unfit && this.#rnd.below(2) === 0 ? this.#draw() : kind;
  }

  #draw(): string {
    if (this.#deck.length === 0) {
      this.#deck = [...this.#wheel];
    }
    const at = this.#rnd.below(this.#deck.length);
    const kind = this.#deck[at];
    this.#deck[at] = this.#deck[this.#deck.length - 1];
    this.#deck.pop();
    return kind;
  }

  learn(op: Operation, result: string): void {
    if (!isFailure(result)) {
      kinds[op.kind].learn?.(this.#known, op);
    } else if (opening.includes(op.kind)) {
      this.#known.slots[op.slot] = null;
    }
  }

  /** What really is there. @param slots whether descriptors are still open. */
  seen({ types, xattrs }: View, slots: boolean): void {
    this.#known.clear();
    for (const [path, name] of xattrs) {
      this.#known.remember(path, name);
    }
    for (const [path, type] of types) {
      this.#known.add(
        path,
        type === c.S_IFDIR ? 'dir' : type === c.S_IFREG ? 'file' : type === c.S_IFLNK ? 'link' : 'other',
      );
    }
    if (!slots) {
      this.#known.slots.fill(null);
    }
  }
}
