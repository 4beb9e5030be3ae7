/**
 * `AdaptivePolicy`: how the serving thread waits for the next request. Most of a round trip is the
 * wake-up of a thread on another processor, so there are three ways, and every 32 requests decide:
 *
 *   follow  a client that is alone onto its processor, in the idle class: nobody is woken across
 *           processors, and none is kept busy (place.ts and watch.ts keep that safe)
 *   spin    look again for 50 us before sleeping: one of the two wake-ups is saved
 *   block   sleep at once: where others want the processors, or looking again finds nothing
 *
 * Every wait ends in a sleep, so nothing is used when nobody asks, and a spin is 50 us at most for a
 * request that came: 5 % of a processor at 1,000 requests in a second. All that is looked at comes
 * from outside (surroundings.ts), so that the rules are tested without a machine.
 */
import type { ServingPolicy } from '../../fuse/session.ts';
import type { Place } from './place.ts';
import type { Surroundings } from './surroundings.ts';

/** Requests between two decisions. */
const WINDOW = 32;
/** Microseconds after an answer within which a client that is busy with us asks again, but for a few times in a window. */
const QUICK_US = 300;
const LATE = 2;
/** More than this between answer and request, so many times in a row, and the two may be on different processors. Once a window while it lasts. */
const NEAR_US = 15;
const FAR_ROW = 3;
/** How long a spin lasts. */
const SPIN_US = 50;
/** While the thread sleeps at once, a pause up to here would have been ended by a spin: it has two wake-ups in it. */
const WORTH_US = 150;
/** A pause that ends following. */
const PAUSE_US = 1_000;
/** How long after following failed it is tried again: doubles from one to the other. */
const RETRY_MIN_US = 1_000;
const RETRY_MAX_US = 1_000_000;
/** Following that lasted so long has not failed. */
const LASTED_US = 100_000;
/** Windows without spinning after one in which it found little: doubles up to here. */
const REST_MAX = 64;

/** Which ways are open. */
export interface Ways {
  /** How many of those that are asleep Linux may still count as runnable: from 6.12 on, until its turn would have come, the client that waits for us. */
  sleepers: number;
  /** null: never follow. */
  place: Place | null;
  spin: boolean;
}

export class AdaptivePolicy implements ServingPolicy {
  private readonly around: Surroundings;
  private readonly place: Place | null;
  private readonly maySpin: boolean;
  private readonly sleepers: number;
  private readonly quiet: Pick<ServingPolicy, 'arrived' | 'quietMs' | 'rest'>;

  private packedOn = -1;
  private packedAt = 0;
  /** Another task was runnable at the last look: at a second one in a row it counts. */
  private crowded = false;
  private retryAt = 0;
  private retryUs = RETRY_MIN_US;

  private spins: boolean;
  private restLeft = 0;
  private restNext = 1;

  private answeredAt = 0;
  /** A thread waited for that answer. */
  private awaited = false;
  private client = 0;
  private farRow = 0;
  // The window so far: requests, those soon after an answer, and how soon.
  private count = 0;
  private quick = 0;
  private caught = 0;
  /** Those that a thread waits for. */
  private asked = 0;
  private strangers = 0;
  private readonly clients: Set<number> = new Set();

  constructor(around: Surroundings, ways: Ways, quiet: Pick<ServingPolicy, 'arrived' | 'quietMs' | 'rest'>) {
    this.around = around;
    this.place = ways.place;
    this.maySpin = ways.spin;
    this.sleepers = ways.sleepers;
    this.spins = ways.spin;
    this.quiet = quiet;
  }

  /** What it does at the moment. */
  get way(): 'follow' | 'spin' | 'block' {
    return this.packedOn >= 0 ? 'follow' : this.spins ? 'spin' : 'block';
  }

  arrived(): void {
    this.quiet.arrived();
    const gap = this.around.now() - this.answeredAt;
    this.count++;
    if (gap < QUICK_US) this.quick++;
    // Behind an answer that nobody waited for (RELEASE's) the next request may be there already.
    if (this.awaited) this.farRow = gap > NEAR_US ? this.farRow + 1 : 0;
    if (this.awaited && this.farRow % WINDOW === FAR_ROW && this.packedOn >= 0) this.goAlong();
    if (gap <= (this.spins ? SPIN_US : WORTH_US)) this.caught++;
    if (this.packedOn >= 0 && (gap > PAUSE_US || this.place?.rescued())) this.leave(gap <= PAUSE_US);
    // Before the answer is given, so that the client whose request this is does not count as another runnable task.
    if (this.count >= WINDOW) this.decide();
  }

  served(pid: number): void {
    this.answeredAt = this.around.now();
    this.awaited = pid !== 0;
    if (pid === 0) return;
    this.asked++;
    this.clients.add(pid);
    if (pid !== this.client) {
      this.strangers++;
      this.client = pid;
    }
  }

  alone(): boolean {
    return this.packedOn >= 0;
  }

  lookAgain(): boolean {
    return this.spins && this.packedOn < 0 && this.around.now() - this.answeredAt < SPIN_US;
  }

  quietMs(): number {
    return this.quiet.quietMs();
  }

  rest(): void {
    this.quiet.rest();
  }

  private decide(): void {
    const { quick, caught, asked, strangers, clients } = this;
    const runnable = this.around.runnable();
    // Clients that compute between two requests are no reason to step back.
    const others = runnable < 0 ? 1 : runnable - Math.max(1, clients.size) - this.sleepers;
    const alone = clients.size === 1 && asked >= WINDOW / 4 && quick >= WINDOW - LATE;
    this.count = this.quick = this.caught = this.asked = this.strangers = 0;
    clients.clear();

    if (this.packedOn >= 0) this.stay(others > 0, strangers);
    if (this.packedOn >= 0) return;
    this.crowded = others > 0;
    this.spins = this.maySpin && !this.crowded && this.spinPays(caught);
    if (alone && !this.crowded) this.follow();
  }

  private follow(): void {
    const { place, around } = this;
    if (place === null || around.now() < this.retryAt || !place.ready()) return;
    const cpu = around.cpuOf(this.client);
    if (cpu < 0 || !place.pack(cpu)) {
      this.retryLater();
      return;
    }
    this.packedOn = cpu;
    this.packedAt = around.now();
    this.farRow = 0;
  }

  private stay(others: boolean, strangers: number): void {
    const again = others && this.crowded;
    this.crowded = others;
    if (again || strangers > WINDOW / 4) {
      this.leave(true);
      return;
    }
    // A second look soon: what was runnable there may have been some kernel thread's moment.
    if (others) this.count = WINDOW - 4;
  }

  /** Where the scheduler has put the client, as it does when another processor falls idle. */
  private goAlong(): void {
    const cpu = this.around.cpuOf(this.client);
    if (cpu < 0 || cpu === this.packedOn) return;
    this.place?.move(cpu);
    this.packedOn = cpu;
  }

  /** @param failed it was no good, so that the next try has to wait; a pause of the client is no failure. */
  private leave(failed: boolean): void {
    this.place?.unpack();
    this.packedOn = -1;
    this.spins = this.maySpin;
    this.restLeft = 0;
    if (!failed) return;
    if (this.around.now() - this.packedAt > LASTED_US) this.retryUs = RETRY_MIN_US;
    this.retryLater();
  }

  private retryLater(): void {
    this.retryAt = this.around.now() + this.retryUs;
    this.retryUs = Math.min(this.retryUs * 2, RETRY_MAX_US);
  }

  /** Whether looking again finds enough: a quarter of the requests. Else it rests for longer and longer. */
  private spinPays(caught: number): boolean {
    if (caught >= WINDOW / 4) {
      if (this.spins) this.restNext = 1;
      if (this.restLeft === 0) return true;
    } else if (this.spins) {
      this.restLeft = this.restNext;
      this.restNext = Math.min(this.restNext * 2, REST_MAX);
      return false;
    }
    if (this.restLeft > 0) this.restLeft--;
    return false;
  }
}
