import { MAX_MATCH_TICKETS, PylonError } from "@pylonsync/protocol";
import { and } from "@pylonsync/query";
import type { Platform } from "../platform.ts";
import type { Reader, Store, Transaction } from "../store/store.ts";
import { transactById, type RowOf } from "../store/system-table.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";

const { matchTickets: TICKETS, matchPlayers: PLAYERS } = SYSTEM_TABLES;
/** How long the result of a ticket can be read, in milliseconds. */
const KEPT_MS = 60 * 60_000;
/** The maximum number of tickets of a status that one pass reads, the oldest first. */
const MAX_READ = 5_000;

/** A stored ticket. */
export type Ticket = RowOf<typeof TICKETS>;
/** The statuses of a ticket that can still get a match. */
export const OPEN_STATUSES = ["gathering", "waiting", "proposed"] as const;

/** The data of a new ticket. */
export interface NewTicket {
  readonly queue: string;
  readonly userId: string;
  /** The number of players of the party. */
  readonly size: number;
  readonly rating: number;
  readonly forMs: number;
}

/** The tickets of all replicas. */
export class MatchTickets {
  readonly #store: Store;
  readonly #platform: Pick<Platform, "now" | "uuid">;

  constructor(store: Store, platform: Pick<Platform, "now" | "uuid">) {
    this.#store = store;
    this.#platform = platform;
  }

  /**
   * Creates a ticket, and ends the previous one of the user.
   *
   * @throws PylonError SUBSCRIBE_FAILED if too many tickets are waiting
   */
  async add({ queue, userId, size, rating, forMs }: NewTicket): Promise<Ticket> {
    const where = and(TICKETS.is("status", "waiting"), TICKETS.is("queue", queue));
    if ((await TICKETS.count(this.#store, where)) >= MAX_MATCH_TICKETS)
      throw new PylonError(
        "SUBSCRIBE_FAILED",
        `The maximum of ${MAX_MATCH_TICKETS} waiting tickets has been reached.`,
      );
    const now = this.#platform.now();
    const ticket: Ticket = {
      id: this.#platform.uuid(),
      queue,
      status: size === 1 ? "waiting" : "gathering",
      size,
      players: [userId],
      accepted: [],
      rating,
      createdAt: now,
      expiresAt: now + forMs,
      matchId: null,
      acceptUntil: null,
    };
    await this.#store.transact(async (tx) => {
      await this.#claim(tx, userId, ticket.id);
      await TICKETS.insert(tx, ticket);
    });
    return ticket;
  }

  /** Ends the other tickets of a user, who has at most one. */
  async #claim(tx: Transaction, userId: string, ticketId: string): Promise<void> {
    const known = await PLAYERS.get(tx, userId);
    const old = known === null ? null : await TICKETS.get(tx, known.ticketId);
    if (old !== null && old.id !== ticketId && isOpen(old)) await this.#cancelOpen(tx, old);
    await PLAYERS.put(tx, { id: userId, ticketId, at: this.#platform.now() });
  }

  get(id: string, reader: Reader = this.#store): Promise<Ticket | null> {
    return TICKETS.get(reader, id);
  }

  /**
   * Adds a user to a party. Once it is complete, it waits for a match.
   *
   * @throws PylonError TICKET_NOT_FOUND, TICKET_OVER
   */
  join(id: string, userId: string, rating: number): Promise<Ticket> {
    return this.#store.transact(async (tx) => {
      const ticket = await this.#known(tx, id);
      if (ticket.players.includes(userId)) return ticket;
      if (ticket.status !== "gathering")
        throw new PylonError(
          "TICKET_OVER",
          "The party of this ticket is complete, or no longer exists.",
        );
      const players = [...ticket.players, userId];
      const sum = ticket.rating * ticket.players.length + rating;
      const changed = {
        players,
        rating: Math.round(sum / players.length),
        ...(players.length === ticket.size
          ? { status: "waiting" as const, createdAt: this.#platform.now() }
          : {}),
      };
      await this.#claim(tx, userId, id);
      await TICKETS.update(tx, id, changed);
      return { ...ticket, ...changed };
    });
  }

  /** @throws PylonError TICKET_NOT_FOUND, TICKET_OVER */
  cancel(id: string, userId: string): Promise<void> {
    return this.#store.transact(async (tx) => {
      const ticket = await this.#known(tx, id, userId);
      if (!isOpen(ticket))
        throw new PylonError("TICKET_OVER", `The ticket is already ${ticket.status}.`);
      await this.#cancelOpen(tx, ticket);
    });
  }

  /**
   * Records that a player accepts a proposed match. It begins once all players have accepted.
   *
   * @throws PylonError TICKET_NOT_FOUND, TICKET_OVER
   */
  accept(id: string, userId: string): Promise<Ticket> {
    return this.#store.transact(async (tx) => {
      const ticket = await this.#known(tx, id, userId);
      const { matchId, status } = ticket;
      if (status !== "proposed" || matchId === null)
        throw new PylonError("TICKET_OVER", "There is no match to accept.");
      const accepted = [...new Set([...ticket.accepted, userId])];
      await TICKETS.update(tx, id, { accepted });
      const all = await TICKETS.select(tx, { where: TICKETS.is("matchId", matchId) });
      const proposed = all.filter((one) => one.status === "proposed");
      if (proposed.every(isAccepted))
        for (const one of proposed) await TICKETS.update(tx, one.id, { status: "matched" });
      return await this.#known(tx, id);
    });
  }

  /** Returns the tickets with a status, the oldest first. */
  withStatus(status: Ticket["status"]): Promise<Ticket[]> {
    return TICKETS.select(this.#store, {
      where: TICKETS.is("status", status),
      order: [{ field: "createdAt", direction: "asc" }],
      limit: MAX_READ,
    });
  }

  /** Returns the tickets of a match. @param matchId the id of the match, or of its shard */
  ofMatch(matchId: string): Promise<Ticket[]> {
    return TICKETS.select(this.#store, { where: TICKETS.is("matchId", matchId) });
  }

  /**
   * Assigns waiting tickets to a match, unless one of them is no longer waiting.
   *
   * @param acceptUntil the time until which players must accept; null: the match begins
   * @returns whether they were assigned
   */
  assign(ids: readonly string[], matchId: string, acceptUntil: number | null): Promise<boolean> {
    return transactById(this.#store, async (tx) => {
      for (const id of ids.toSorted())
        if ((await TICKETS.get(tx, id))?.status !== "waiting") return false;
      const status = acceptUntil === null ? "matched" : "proposed";
      // In a match that has begun, it is the time from which a seat is reserved.
      const begun = acceptUntil === null ? { acceptUntil: this.#platform.now() } : { acceptUntil };
      for (const id of ids.toSorted())
        await TICKETS.update(tx, id, { status, matchId, accepted: [], ...begun });
      return true;
    });
  }

  /** Expires a ticket if it has waited too long. */
  expire(id: string): Promise<void> {
    return transactById(this.#store, async (tx) => {
      const ticket = await TICKETS.get(tx, id);
      const isStill = ticket?.status === "waiting" || ticket?.status === "gathering";
      if (isStill && ticket.expiresAt <= this.#platform.now())
        await TICKETS.update(tx, id, { status: "expired" });
    });
  }

  /** Expires the tickets that were not accepted in time; the others wait for another match. */
  async expireProposal(matchId: string): Promise<void> {
    await this.#store.transact(async (tx) => {
      for (const { id, status, acceptUntil, ...ticket } of await TICKETS.select(tx, {
        where: TICKETS.is("matchId", matchId),
      })) {
        if (status !== "proposed" || (acceptUntil ?? 0) > this.#platform.now()) continue;
        await TICKETS.update(tx, id, isAccepted(ticket) ? WAITING_AGAIN : { status: "expired" });
      }
    });
  }

  /** Deletes old tickets. */
  async forgetOld(): Promise<void> {
    const before = this.#platform.now() - KEPT_MS;
    await this.#store.transact(async (tx) => {
      await TICKETS.deleteWhere(tx, TICKETS.isBelow("expiresAt", before));
      await PLAYERS.deleteWhere(tx, PLAYERS.isBelow("at", before - KEPT_MS));
    });
  }

  /** Cancels a ticket, and the match that it was to accept, which would begin without it. */
  async #cancelOpen(tx: Transaction, { id, matchId }: Ticket): Promise<void> {
    await TICKETS.update(tx, id, { status: "cancelled" });
    if (matchId !== null) await this.#cancelMatch(tx, matchId, id);
  }

  async #cancelMatch(tx: Transaction, matchId: string, exceptId: string): Promise<void> {
    for (const { id, status } of await TICKETS.select(tx, {
      where: TICKETS.is("matchId", matchId),
    }))
      if (id !== exceptId && status === "proposed") await TICKETS.update(tx, id, WAITING_AGAIN);
  }

  /** @throws PylonError TICKET_NOT_FOUND, also for a ticket of other users */
  async #known(tx: Transaction, id: string, userId: string | null = null): Promise<Ticket> {
    const ticket = await TICKETS.get(tx, id);
    if (ticket !== null && (userId === null || ticket.players.includes(userId))) return ticket;
    throw ticketNotFound();
  }
}

const WAITING_AGAIN = {
  status: "waiting",
  matchId: null,
  acceptUntil: null,
  accepted: [],
} as const;

/** Whether a ticket can still get a match. */
export function isOpen({ status }: Pick<Ticket, "status">): boolean {
  return OPEN_STATUSES.some((open) => open === status);
}

function isAccepted({ players, accepted }: Pick<Ticket, "players" | "accepted">): boolean {
  return players.every((player) => accepted.includes(player));
}

/** The error for a ticket that does not exist, or belongs to other users. */
export function ticketNotFound(): PylonError {
  return new PylonError("TICKET_NOT_FOUND", "The ticket does not exist.");
}
