/** The options of `interpolate`. */
export interface InterpolationOptions {
  /** The tick rate of the shard. */
  readonly tickRate: number;
  /** Views per second, if lower: `sendRate` of the shard, or `viewRate` of the client. */
  readonly viewRate?: number;
}

/** A moment between two views. */
export interface Moment<View> {
  readonly from: View;
  readonly to: View;
  /** The position between the first and the second view: 0 to 1. */
  readonly share: number;
  /** The displayed step, with its fraction. */
  readonly tick: number;
}

/** Shows the views of a shard as smooth motion, with a short delay. */
export interface Interpolation<View> {
  /** The delay of the displayed state behind the newest possible one, in milliseconds. */
  readonly delayMs: number;
  /** Adds a view. @param nowMs the time of a monotonic clock, such as `performance.now()` */
  add(view: View, tick: number, nowMs: number): void;
  /**
   * Returns what to show now; null before the first view. @param nowMs the time of the same clock
   */
  at(nowMs: number): Moment<View> | null;
}

/** The number of recent views from which the lateness is estimated. */
const MAX_ARRIVALS = 64;
const MAX_VIEWS = 128;
/** The share of views that should arrive before they are needed. */
const IN_TIME = 0.95;
/** The maximum change of speed to correct the displayed time. */
const MAX_SLEW = 0.15;
/** The time within which a difference is corrected, in milliseconds. */
const SLEW_MS = 400;
/** A difference above this is corrected with a jump: the first views were very late. */
const LEAP_MS = 1000;

interface Arrival {
  readonly tick: number;
  /** The arrival time minus the time of its step: the minimum is that of the fastest route. */
  readonly offsetMs: number;
}

/**
 * Converts irregularly arriving views to smooth motion. It shows the past: one step behind the
 * newest view, plus the measured lateness of views, so that a good network has a short delay and a
 * bad one still has no gaps.
 *
 * @example
 * const others = interpolate<{ x: number }>({ tickRate: 20 });
 * others.add({ x: 0 }, 1, performance.now());
 * const moment = others.at(performance.now());
 * if (moment !== null) {
 *   const { from, to, share } = moment;
 *   console.log(from.x + (to.x - from.x) * share);
 * }
 */
export function interpolate<View>({
  tickRate,
  viewRate = tickRate,
}: InterpolationOptions): Interpolation<View> {
  return new ViewBuffer<View>(1000 / tickRate, Math.max(1, Math.ceil(tickRate / viewRate)));
}

class ViewBuffer<View> implements Interpolation<View> {
  readonly #stepMs: number;
  /** The number of steps between views. */
  readonly #period: number;
  #views: { readonly view: View; readonly tick: number }[] = [];
  #arrivals: Arrival[] = [];
  #delayMs: number;
  /** The displayed shard time and the corresponding client time, in milliseconds. */
  #shown: { readonly timeMs: number; readonly nowMs: number } | null = null;

  constructor(stepMs: number, period: number) {
    this.#stepMs = stepMs;
    this.#period = period;
    this.#delayMs = stepMs * period;
  }

  get delayMs(): number {
    return this.#delayMs;
  }

  add(view: View, tick: number, nowMs: number): void {
    const newest = this.#views.at(-1);
    if (newest !== undefined && tick < newest.tick) this.#reset();
    if (newest?.tick === tick) this.#views.pop();
    this.#views.push({ view, tick });
    if (this.#views.length > MAX_VIEWS) this.#views.shift();
    this.#arrivals.push({ tick, offsetMs: nowMs - tick * this.#stepMs });
    if (this.#arrivals.length > MAX_ARRIVALS) this.#arrivals.shift();
    this.#delayMs = this.#stepMs * this.#period + this.#lateness();
  }

  at(nowMs: number): Moment<View> | null {
    if (this.#views.length === 0) return null;
    const timeMs = this.#timeAt(nowMs);
    this.#shown = { timeMs, nowMs };
    return this.#momentAt(timeMs / this.#stepMs);
  }

  /** The shard was restarted. */
  #reset(): void {
    this.#views = [];
    this.#arrivals = [];
    this.#shown = null;
  }

  /** Returns how much later than the fastest views the slower ones arrive. */
  #lateness(): number {
    const offsets = this.#arrivals.map(({ offsetMs }) => offsetMs).toSorted((a, b) => a - b);
    const [first = 0] = offsets;
    return (offsets[Math.ceil(offsets.length * IN_TIME) - 1] ?? first) - first;
  }

  /** Returns the shard time to show. It never goes back, and stops without views. */
  #timeAt(nowMs: number): number {
    const quickest = Math.min(...this.#arrivals.map(({ offsetMs }) => offsetMs));
    const newestMs = (this.#views.at(-1)?.tick ?? 0) * this.#stepMs;
    const wanted = Math.min(newestMs, nowMs - quickest - this.#delayMs);
    if (this.#shown === null) return wanted;
    const passed = Math.max(0, nowMs - this.#shown.nowMs);
    const difference = wanted - (this.#shown.timeMs + passed);
    if (difference > LEAP_MS) return wanted;
    const slew = Math.min(MAX_SLEW, Math.max(-MAX_SLEW, difference / SLEW_MS));
    return Math.min(newestMs, this.#shown.timeMs + passed * (1 + slew));
  }

  #momentAt(tick: number): Moment<View> | null {
    const after = this.#views.findIndex((one) => one.tick > tick);
    const to = this.#views.at(after);
    if (to === undefined) return null;
    const from = after <= 0 ? to : this.#views[after - 1];
    if (from === undefined) return null;
    // Views before the previous one are no longer needed.
    if (after !== 0) this.#views.splice(0, this.#views.indexOf(from));
    // Unchanged views are not sent: a view is valid until just before the next one.
    const share = after <= 0 ? 1 : Math.max(0, 1 - (to.tick - tick) / this.#period);
    return { from: from.view, to: to.view, share, tick };
  }
}
