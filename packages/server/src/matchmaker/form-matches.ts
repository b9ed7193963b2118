/** Players who wait together, as the forming of matches sees them. */
export interface WaitingTicket {
  readonly id: string;
  /** How many play. */
  readonly size: number;
  /** Of all of them, on average. */
  readonly rating: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

/** How matches of one queue are formed. */
export interface FormingRules {
  readonly minPlayers: number;
  readonly maxPlayers: number;
  /** How far ratings may be apart at first. */
  readonly ratingSpread: number;
  /** By how much that grows with each second of waiting. */
  readonly widenPerSecond: number;
  /** For how many seconds a match that could begin waits for more players. */
  readonly fillSeconds: number;
}

/** How far the rating of others may be from that of one who waited for so long. */
export function spreadOf(
  { ratingSpread, widenPerSecond }: FormingRules,
  { createdAt }: Pick<WaitingTicket, "createdAt">,
  now: number,
): number {
  return ratingSpread + (widenPerSecond * Math.max(0, now - createdAt)) / 1000;
}

/**
 * Forms the matches that can begin now. Those who wait longest come first: around each of them a
 * match is formed of those within its spread, as large as it can be, and of several that are as
 * large the one of the nearest.
 *
 * @param tickets of one queue
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
    const match = [anchor, ...fullest(others, rules.maxPlayers - anchor.size)];
    const players = match.reduce((sum, { size }) => sum + size, 0);
    const hasWaited = now - anchor.createdAt >= rules.fillSeconds * 1000;
    if (players < rules.minPlayers || (players < rules.maxPlayers && !hasWaited)) continue;
    for (const ticket of match) taken.add(ticket);
    matches.push(match);
  }
  return matches;
}

/**
 * Those who fill the most of the seats: parties can't be parted, so the first ones need not be
 * among them. Of several choices that fill as many, the one that was found first.
 *
 * @param others the most wanted first
 */
export function fullest<T extends Pick<WaitingTicket, "size">>(
  others: readonly T[],
  seats: number,
): T[] {
  /** By how many seats they fill: one choice for each. */
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
