/** The next operation of a random sequence, by what is known to be there. */
import type { ByteString } from 'stratafs/internal/sys/bytes';
import * as c from 'stratafs/internal/sys/constants';
import type { Random } from '../random.ts';
import { Chooser } from './chooser.ts';
import { kinds } from './kinds/all.ts';
import { Known } from './known.ts';
import { type Operation, operation } from './operation.ts';
import { isFailure } from './turn.ts';
import { umasks, users } from './vocabulary.ts';

/** The tree is kept between these sizes, so that looking at all of it stays cheap. */
const SMALL = 35;
const LARGE = 110;

/** Every so many operations times are looked at. */
const WATCHED = 4;

const making: readonly string[] = ['mkdir', 'create', 'symlink', 'link', 'mknod', 'tmpfile', 'slot-link'];
const moving: readonly string[] = ['rename', 'rename-noreplace', 'rename-exchange', 'link', 'slot-link', 'long-names'];
const removing: readonly string[] = ['unlink', 'rmdir', 'rm -r'];

const wheel: readonly string[] = Object.entries(kinds).flatMap(([name, { weight }]) =>
  Array.from({ length: weight }, () => name),
);

export class Generator {
  readonly #rnd: Random;
  readonly #metacopy: boolean;
  #known: Known = new Known();

  /** @param metacopy files of metadata alone are made: what has too long a name for a redirect stays where it is (docs/differences.md). */
  constructor(rnd: Random, metacopy: boolean) {
    this.#rnd = rnd;
    this.#metacopy = metacopy;
  }

  next(): Operation {
    for (;;) {
      const op = this.#any();
      if (!(this.#metacopy && moving.includes(op.kind) && `${op.path}${op.to}`.length > 200)) return op;
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
    const kind = this.#rnd.pick(wheel);
    const { size } = this.#known;
    const unfit = (size < SMALL && removing.includes(kind)) || (size > LARGE && making.includes(kind));
    return unfit && this.#rnd.below(2) === 0 ? this.#rnd.pick(wheel) : kind;
  }

  learn(op: Operation, result: string): void {
    if (!isFailure(result)) {
      kinds[op.kind].learn?.(this.#known, op);
    }
  }

  /** What really is there. @param slots whether descriptors are still open. */
  seen(types: ReadonlyMap<ByteString, number>, slots: boolean): void {
    this.#known.clear();
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
