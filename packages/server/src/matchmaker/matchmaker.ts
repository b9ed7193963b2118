import type { ShardDefinition } from "@pylonsync/functions";
import { MAX_TICKET_WAITS, PylonError } from "@pylonsync/protocol";
import type { Platform, Timer } from "../platform.ts";
import { formMatches, fillSeats, spreadOf } from "./form-matches.ts";
import { isOpen, ticketNotFound, type MatchTickets, type Ticket } from "./match-tickets.ts";
import { fullRules, queueName, queueOf, rulesOf, type FullRules } from "./match-rules.ts";

/** The shard of a match that runs on this replica. */
export interface RunningMatch {
  readonly id: string;
  readonly players: number;
  has(userId: string): boolean;
}

/** The services that the matchmaker uses. */
export interface MatchmakerServices {
  readonly tickets: MatchTickets;
  readonly definitions: () => ReadonlyMap<string, ShardDefinition>;
  /** Returns the shards that run on this replica. */
  readonly running: () => readonly RunningMatch[];
  /** Calls the app's rating query. */
  readonly rate: (query: string, userId: string) => Promise<unknown>;
  readonly platform: Platform;
  readonly onError: (error: unknown) => void;
}

/** A user's request for a match. */
export interface MatchRequest {
  readonly shard: string;
  readonly mode: string | undefined;
  readonly region: string | undefined;
  /** The number of players in the party. */
  readonly partySize: number;
}

const PASS_MS = 1_000;
/** How long a seat is reserved for a matched player, in milliseconds. */
const SEAT_MS = 30_000;

/**
 * Forms matches of players. Each replica forms matches of the tickets in the database, which
 * resolves conflicts between matches that are formed at the same time.
 */
export class Matchmaker {
  readonly #services: MatchmakerServices;
  readonly #waits = new Map<() => void, { readonly id: string; readonly status: string }>();
  #timer: Timer | null = null;
  #pass: Promise<void> | null = null;

  constructor(services: MatchmakerServices) {
    this.#services = services;
  }

  start(): void {
    this.#timer = this.#services.platform.every(PASS_MS, () => void this.pass()).unref();
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    for (const wake of [...this.#waits.keys()]) wake();
    await this.#pass;
  }

  /**
   * Creates a ticket for a user.
   *
   * @throws PylonError SHARD_NOT_FOUND, INVALID_DATA, SUBSCRIBE_FAILED, HANDLER_ERROR
   */
  async add(userId: string, request: MatchRequest): Promise<Ticket> {
    const { shard, partySize: size } = request;
    const rules = rulesOf(this.#services.definitions(), shard);
    const mode = chosen("mode", request.mode, rules.modes);
    const region = chosen("region", request.region, rules.regions);
    if (size > rules.maxPlayers)
      throw new PylonError(
        "INVALID_DATA",
        `A party may have at most ${rules.maxPlayers} players.`,
        {
          field: "party_size",
        },
      );
    const rating = await this.#rate(rules, userId);
    const queue = queueName({ shard, mode, region });
    return this.#services.tickets.add({ queue, userId, size, rating, forMs: rules.timeoutMs });
  }

  /** Adds a user to a party. @throws PylonError TICKET_NOT_FOUND, TICKET_OVER */
  async join(id: string, userId: string): Promise<Ticket> {
    const { tickets, definitions } = this.#services;
    const ticket = await tickets.get(id);
    if (ticket === null) throw ticketNotFound();
    const rules = rulesOf(definitions(), queueOf(ticket.queue).shard);
    return tickets.join(id, userId, await this.#rate(rules, userId));
  }

  /** Returns a ticket of the user. @throws PylonError TICKET_NOT_FOUND */
  async get(id: string, userId: string): Promise<Ticket> {
    const ticket = await this.#services.tickets.get(id);
    if (ticket === null || !ticket.players.includes(userId)) throw ticketNotFound();
    return ticket;
  }

  /** Like `get`, but waits until the status differs from the given one, or until the timeout. */
  async changed(id: string, userId: string, status: string, ms: number): Promise<Ticket> {
    const ticket = await this.get(id, userId);
    if (ticket.status !== status || !isOpen(ticket)) return ticket;
    if (this.#waits.size >= MAX_TICKET_WAITS) return ticket;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waits.set(resolve, { id, status });
    const timer = this.#services.platform.after(ms, resolve).unref();
    await promise;
    timer.cancel();
    this.#waits.delete(resolve);
    return this.get(id, userId);
  }

  /** Expires tickets and forms matches once. Never rejects. */
  pass(): Promise<void> {
    this.#pass ??= this.#look()
      .catch((error: unknown) => this.#services.onError(error))
      .finally(() => {
        this.#pass = null;
      });
    return this.#pass;
  }

  async #look(): Promise<void> {
    const { tickets, definitions, platform } = this.#services;
    if (![...definitions().values()].some(({ match }) => match !== undefined)) return;
    const now = platform.now();
    const [gathering, waiting, proposed] = [
      await tickets.withStatus("gathering"),
      await tickets.withStatus("waiting"),
      await tickets.withStatus("proposed"),
    ];
    for (const { id, expiresAt } of [...gathering, ...waiting])
      if (expiresAt <= now) await tickets.expire(id);
    const late = proposed.filter(({ acceptUntil }) => (acceptUntil ?? 0) <= now);
    for (const matchId of new Set(late.map((ticket) => ticket.matchId)))
      if (matchId !== null) await tickets.expireProposal(matchId);
    const alive = waiting.filter(({ expiresAt }) => expiresAt > now);
    const left = await this.#backfill(alive, now);
    for (const [queue, ofQueue] of Map.groupBy(left, (ticket) => ticket.queue))
      await this.#form(queue, ofQueue, now);
    await this.#wake();
  }

  async #form(queue: string, waiting: readonly Ticket[], now: number): Promise<void> {
    const { shard } = queueOf(queue);
    const match = this.#services.definitions().get(shard)?.match;
    if (match === undefined) return;
    const rules = fullRules(match);
    const acceptUntil = rules.acceptMs === 0 ? null : now + rules.acceptMs;
    for (const together of formMatches(waiting, rules, now)) {
      const matchId = `${shard}:m-${this.#services.platform.uuid()}`;
      const ids = together.map(({ id }) => id);
      await this.#services.tickets.assign(ids, matchId, acceptUntil);
    }
  }

  /**
   * Assigns free seats of running matches to waiting tickets. Only the replica that runs a match
   * assigns its seats.
   *
   * @returns the tickets that are still waiting
   */
  async #backfill(waiting: readonly Ticket[], now: number): Promise<Ticket[]> {
    const { tickets, definitions, running } = this.#services;
    let left = [...waiting];
    for (const match of running()) {
      const rules = definitions().get(queueOf(match.id).shard.split(":", 1)[0] ?? "")?.match;
      if (rules?.backfill !== true || left.length === 0) continue;
      const before = await tickets.ofMatch(match.id);
      const [first] = before;
      if (first === undefined) continue;
      const near = nearTo(before, left, fullRules(rules), now);
      const seats = fullRules(rules).maxPlayers - match.players - comingTo(match, before, now);
      const chosenTickets = seats > 0 ? fillSeats(near, seats) : [];
      for (const { id } of chosenTickets) await tickets.assign([id], match.id, null);
      left = left.filter((ticket) => !chosenTickets.includes(ticket));
    }
    return left;
  }

  /** Ends the waits for tickets whose status has changed. */
  async #wake(): Promise<void> {
    if (this.#waits.size === 0) return;
    const { tickets } = this.#services;
    const now = new Map<string, string>();
    for (const status of ["gathering", "waiting", "proposed"] as const)
      for (const { id } of await tickets.withStatus(status)) now.set(id, status);
    for (const [wake, { id, status }] of [...this.#waits]) if (now.get(id) !== status) wake();
  }

  async #rate({ rating }: FullRules, userId: string): Promise<number> {
    if (rating === null) return 0;
    const rated = await this.#services.rate(rating, userId);
    if (Number.isSafeInteger(Math.round(Number(rated)))) return Math.round(Number(rated));
    throw new PylonError(
      "HANDLER_ERROR",
      `The query "${rating}" did not return a rating for the user.`,
    );
  }
}

/** @throws PylonError INVALID_DATA */
function chosen(field: string, value: string | undefined, known: readonly string[]): string {
  const one = value ?? known[0] ?? "";
  if (known.includes(one)) return one;
  throw new PylonError("INVALID_DATA", `Unknown ${field}.`, {
    field,
    hint: `Choose one of ${known.join(", ")}.`,
  });
}

/** Returns the tickets of the same queue with a rating near that of a match, in their order. */
function nearTo(
  match: readonly Ticket[],
  waiting: readonly Ticket[],
  rules: FullRules,
  now: number,
): Ticket[] {
  const queue = match[0]?.queue;
  const rating = match.reduce((sum, ticket) => sum + ticket.rating, 0) / match.length;
  return waiting.filter(
    (ticket) =>
      ticket.queue === queue && Math.abs(ticket.rating - rating) <= spreadOf(rules, ticket, now),
  );
}

/** Returns the number of players who were matched recently and have not joined yet. */
function comingTo(match: RunningMatch, tickets: readonly Ticket[], now: number): number {
  return tickets
    .filter(({ status, acceptUntil }) => status === "matched" && (acceptUntil ?? 0) > now - SEAT_MS)
    .flatMap(({ players }) => players)
    .filter((player) => !match.has(player)).length;
}
