import type { ZoneOffset } from "../store/store.ts";

const DAY_MS = 86_400_000;
/**
 * Shorter than the time between two changes of a zone's offset: the shortest daylight saving times
 * last several weeks.
 */
const STEP_MS = 7 * DAY_MS;
/** Changes are searched for and cached in blocks of this length, about ten years. */
const BLOCK_MS = 512 * STEP_MS;
/** The maximum number of cached blocks, of all zones together. */
const MAX_BLOCKS = 4_000;
/**
 * The time added on both sides of the requested moments, because a bucket begins at most a year
 * before them.
 */
const PAD_MS = 370 * DAY_MS;

const MAX_NAME = 64;

/** The maximum number of years of data that are grouped in a time zone. */
export const MAX_ZONE_YEARS = 200;

/** The offset at the beginning of a block, and the changes within it. */
interface Block {
  readonly seconds: number;
  readonly changes: readonly { readonly at: number; readonly seconds: number }[];
}

/**
 * The cache by zone and block number, the oldest first. Finding changes takes long, and callers may
 * request an aggregate at any time.
 */
const blocks = new Map<string, Block>();

/** Computes the local time of a place, using the runtime's time zone data. */
export class TimeZone {
  readonly #format: Intl.DateTimeFormat;
  /** The canonical name, the same for all spellings. */
  readonly #name: string;

  private constructor(format: Intl.DateTimeFormat) {
    this.#format = format;
    this.#name = format.resolvedOptions().timeZone;
  }

  /** @returns undefined unless the name is that of a time zone, such as `Europe/Berlin` */
  static of(name: unknown): TimeZone | undefined {
    if (typeof name !== "string" || name.length > MAX_NAME) return undefined;
    try {
      return new TimeZone(
        new Intl.DateTimeFormat("en-US", {
          timeZone: name,
          calendar: "gregory",
          numberingSystem: "latn",
          hourCycle: "h23",
          era: "short",
          year: "numeric",
          month: "numeric",
          day: "numeric",
          hour: "numeric",
          minute: "numeric",
          second: "numeric",
        }),
      );
    } catch {
      return undefined;
    }
  }

  /**
   * The offsets from UTC between two moments, with a year added on each side.
   *
   * @param from ISO 8601
   * @param to ISO 8601
   * @returns undefined if there are more than `MAX_ZONE_YEARS` between them
   */
  offsets(from: string, to: string): readonly ZoneOffset[] | undefined {
    const [first, last] = [Date.parse(from) - PAD_MS, Date.parse(to) + PAD_MS];
    if (last - first > (MAX_ZONE_YEARS + 3) * 366 * DAY_MS) return undefined;
    let before = 0;
    const found: { from: string; seconds: number }[] = [];
    const [begin, end] = [Math.floor(first / BLOCK_MS), Math.floor(last / BLOCK_MS)];
    for (let number = begin; number <= end; number += 1) {
      const { seconds, changes } = this.#block(number);
      if (number === begin) before = seconds;
      for (const change of changes)
        if (change.at <= first) before = change.seconds;
        else if (change.at <= last)
          found.push({ from: new Date(change.at).toISOString(), seconds: change.seconds });
    }
    return [{ from: null, seconds: before }, ...found];
  }

  #block(number: number): Block {
    const key = `${this.#name} ${number}`;
    const known = blocks.get(key);
    if (known !== undefined) return known;
    const [oldest] = blocks.keys();
    if (blocks.size >= MAX_BLOCKS && oldest !== undefined) blocks.delete(oldest);
    const made = this.#readBlock(number * BLOCK_MS);
    blocks.set(key, made);
    return made;
  }

  #readBlock(begin: number): Block {
    const first = this.#secondsAt(begin);
    const changes: { at: number; seconds: number }[] = [];
    let seconds = first;
    for (let time = begin; time < begin + BLOCK_MS; time += STEP_MS) {
      const next = this.#secondsAt(time + STEP_MS);
      if (next === seconds) continue;
      changes.push({ at: this.#changeBetween(time, time + STEP_MS, seconds), seconds: next });
      seconds = next;
    }
    return { seconds: first, changes };
  }

  /** The first second after `low` at which the offset differs. */
  #changeBetween(low: number, high: number, seconds: number): number {
    let [before, after] = [Math.floor(low / 1000), Math.ceil(high / 1000)];
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2);
      if (this.#secondsAt(middle * 1000) === seconds) before = middle;
      else after = middle;
    }
    return after * 1000;
  }

  #secondsAt(time: number): number {
    const parts = new Map(
      this.#format.formatToParts(time).map(({ type, value }) => [type, value] as const),
    );
    const number = (type: Intl.DateTimeFormatPartTypes): number => Number(parts.get(type));
    const year = parts.get("era") === "BC" ? 1 - number("year") : number("year");
    const local = new Date(0);
    local.setUTCFullYear(year, number("month") - 1, number("day"));
    local.setUTCHours(number("hour"), number("minute"), number("second"));
    return Math.round((local.getTime() - Math.floor(time / 1000) * 1000) / 1000);
  }
}

/**
 * The first moment at which a local time is reached. A local time that the clock skips is reached
 * when the clock is put forward.
 *
 * @param local the local time, written as if it were UTC
 */
export function momentOf(local: string, offsets: readonly ZoneOffset[]): string {
  const wanted = Date.parse(local);
  for (const [index, { from, seconds }] of offsets.entries()) {
    const begin = from === null ? -Infinity : Date.parse(from);
    const end = offsets[index + 1]?.from ?? null;
    const moment = Math.max(begin, wanted - seconds * 1000);
    if (end === null || moment < Date.parse(end)) return new Date(moment).toISOString();
  }
  return local;
}

/** The local time of a moment, written as if it were UTC. */
export function localOf(moment: string, offsets: readonly ZoneOffset[]): string {
  const at = offsets.findLast(({ from }) => from === null || from <= moment);
  return new Date(Date.parse(moment) + (at?.seconds ?? 0) * 1000).toISOString();
}
