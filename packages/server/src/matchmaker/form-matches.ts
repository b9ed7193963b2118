/** A ticket of one or more players who wait for a match together. */
export interface WaitingTicket {
  readonly id: string;
  /** The number of players. */
  readonly size: number;
  /** The average rating of the players. */
  readonly rating: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

/** The rules for forming matches of one queue. */
export interface FormingRules {
  readonly minPlayers: number;
  readonly maxPlayers: number;
  /** The initial maximum difference of ratings. */
  readonly ratingSpread: number;
  /** By how much it grows per second of waiting. */
  readonly widenPerSecond: number;
  /** The number of seconds that a match that could begin waits for more players. */
  readonly fillSeconds: number;
}

/** Returns the maximum difference of ratings for a ticket, which grows while it waits. */
export function spreadOf(
  { ratingSpread, widenPerSecond }: FormingRules,
  { createdAt }: Pick<WaitingTicket, "createdAt">,
  now: number,
): number {
  return ratingSpread + (widenPerSecond * Math.max(0, now - createdAt)) / 1000;
}

/**
 * Forms the matches that can begin now. Tickets that have waited longest come first: for each of
 * them, the largest possible match is formed with tickets within its spread; of several such
 * matches, the one with the nearest ratings.
 *
 * @param tickets the tickets of one queue
 * @returns the tickets of each match
 */
export function formMatches<T extends WaitingTicket>(
  tickets: readonly T[],
  rules: FormingRules,
  now: number,
): T[][] {
  const byAge = tickets.toSorted((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
  const taken = new Set<T>();
  const matches: T[][] = [];
  for (const anchor of byAge) {
    if (taken.has(anchor) || anchor.size > rules.maxPlayers) continue;
    const spread = spreadOf(rules, anchor, now);
    const distance = ({ rating }: T): number => Math.abs(rating - anchor.rating);
    const others = byAge
      .filter((other) => other !== anchor && !taken.has(other) && distance(other) <= spread)
      .toSorted((a, b) => distance(a) - distance(b));
    const match = [anchor, ...fillSeats(others, rules.maxPlayers - anchor.size)];
    const players = match.reduce((sum, { size }) => sum + size, 0);
    const hasWaited = now - anchor.createdAt >= rules.fillSeconds * 1000;
    if (players < rules.minPlayers || (players < rules.maxPlayers && !hasWaited)) continue;
    for (const ticket of match) taken.add(ticket);
    matches.push(match);
  }
  return matches;
}

/**
 * Returns the tickets that fill the most seats. Parties can't be split, so the first tickets may
 * not be among them. Of several choices that fill as many seats, the first one found is returned.
 *
 * @param others the tickets, the most preferred first
 */
export function fillSeats<T extends Pick<WaitingTicket, "size">>(
  others: readonly T[],
  seats: number,
): T[] {
  /** One choice per number of filled seats. */
  const choices: (T[] | undefined)[] = [[]];
  for (const other of others) {
    if (choices[seats] !== undefined) break;
    for (let filled = seats - other.size; filled >= 0; filled -= 1) {
      const choice = choices[filled];
      if (choice !== undefined) choices[filled + other.size] ??= [...choice, other];
    }
  }
  for (let filled = seats; filled > 0; filled -= 1) {
    const choice = choices[filled];
    if (choice !== undefined) return choice;
  }
  return [];
}
