import * as v from "valibot";
import { PylonClientError } from "../connection/errors.ts";
import { systemPlatform, type Platform } from "../platform/platform.ts";

/** The status of a ticket. */
export type MatchStatus =
  | "gathering"
  | "waiting"
  | "proposed"
  | "matched"
  | "cancelled"
  | "expired";

const TicketSchema = v.object({
  id: v.string(),
  status: v.picklist(["gathering", "waiting", "proposed", "matched", "cancelled", "expired"]),
  players: v.array(v.string()),
  waiting_secs: v.number(),
  shard_id: v.optional(v.string()),
  join_token: v.optional(v.string()),
});
/** A ticket, as returned by the server: friends join a party with its `id`. */
export type MatchTicket = v.InferOutput<typeof TicketSchema>;

/** The options of `findMatch`. */
export interface FindMatchOptions {
  /** The URL of the server, such as `https://api.example.com`. */
  readonly baseUrl: string;
  /** The token of the signed-in user. */
  readonly token: string;
  /** One of the modes of the shard. Default: the first. */
  readonly mode?: string | undefined;
  /** One of the regions of the shard. Default: the first. */
  readonly region?: string | undefined;
  /** The size of the party; the others join with `ticketId`. Default 1. */
  readonly partySize?: number | undefined;
  /** Joins the party of this ticket, instead of creating a ticket. */
  readonly ticketId?: string | undefined;
  /** Called with the ticket whenever its status changes. */
  readonly onTicket?: ((ticket: MatchTicket) => void) | undefined;
  /** Decides whether to accept a match, if the shard requires confirmation. Default: accept. */
  readonly onProposal?: (() => boolean | Promise<boolean>) | undefined;
  /** Cancels the ticket when aborted. */
  readonly signal?: AbortSignal | undefined;
  /** The platform, for tests; default: the one that this runs on. */
  readonly platform?: Pick<Platform, "fetch"> | undefined;
}

/** A match that has begun. */
export interface FoundMatch {
  readonly shardId: string;
  /** Returns a join token, for `connectShard`. */
  readonly joinToken: () => Promise<string>;
}

/** The duration of a long poll, in seconds. */
const WAIT_SECONDS = 20;

/**
 * Waits until the matchmaker has found enough players.
 *
 * @throws PylonClientError of the server, and `MATCH_EXPIRED` or `MATCH_CANCELLED` if the ticket
 *   ends without a match
 *
 * @example
 * const baseUrl = "https://api.example.com";
 * const { shardId, joinToken } = await findMatch("arena", { baseUrl, token: "pylon_..." });
 * const game = connectShard<{ x: number }, { dx: number }>(shardId, { baseUrl, joinToken });
 */
export async function findMatch(shard: string, options: FindMatchOptions): Promise<FoundMatch> {
  const desk = new TicketWatch(options);
  const { signal, ticketId, onTicket, mode, region, partySize } = options;
  let ticket =
    ticketId === undefined
      ? await desk.ask("POST", encodeURIComponent(shard), { mode, region, party_size: partySize })
      : await desk.ask("POST", `tickets/${encodeURIComponent(ticketId)}/party`);
  const path = `tickets/${encodeURIComponent(ticket.id)}`;
  const giveBack = (): void => void desk.ask("DELETE", path).catch(() => undefined);
  signal?.addEventListener("abort", giveBack);
  try {
    for (;;) {
      onTicket?.(ticket);
      signal?.throwIfAborted();
      if (ticket.status === "matched") return found(desk, path, ticket);
      if (ticket.status === "cancelled" || ticket.status === "expired")
        throw new PylonClientError(0, {
          code: `MATCH_${ticket.status.toUpperCase()}`,
          message: `The ticket is ${ticket.status}: no match was found.`,
        });
      if (ticket.status === "proposed") await answer(desk, path, options);
      ticket = await nextOf(desk, path, ticket, signal);
    }
  } finally {
    signal?.removeEventListener("abort", giveBack);
  }
}

/** Waits until the ticket has another status. */
async function nextOf(
  desk: TicketWatch,
  path: string,
  before: MatchTicket,
  signal: AbortSignal | undefined,
): Promise<MatchTicket> {
  for (;;) {
    const query = `?wait=${WAIT_SECONDS}&status=${before.status}`;
    const ticket = await desk.ask("GET", path + query);
    signal?.throwIfAborted();
    if (ticket.status !== before.status) return ticket;
  }
}

async function answer(
  desk: TicketWatch,
  path: string,
  { onProposal = () => true }: FindMatchOptions,
): Promise<void> {
  if (await onProposal()) await desk.ask("POST", `${path}/accept`);
  else await desk.send("DELETE", path);
}

function found(desk: TicketWatch, path: string, ticket: MatchTicket): FoundMatch {
  // The first token is already available; later ones are requested.
  let first = ticket.join_token;
  const joinToken = async (): Promise<string> => {
    const token = first ?? (await desk.ask("GET", path)).join_token;
    first = undefined;
    if (token !== undefined) return token;
    throw PylonClientError.ofClient("UNEXPECTED_ANSWER", "The match has no join token.");
  };
  return { shardId: ticket.shard_id ?? "", joinToken };
}

/** The requests for tickets. */
class TicketWatch {
  readonly #options: FindMatchOptions;

  constructor(options: FindMatchOptions) {
    this.#options = options;
  }

  async ask(method: string, path: string, body?: object): Promise<MatchTicket> {
    return v.parse(TicketSchema, await this.send(method, path, body));
  }

  async send(method: string, path: string, body?: object): Promise<unknown> {
    const { baseUrl, token, platform = systemPlatform } = this.#options;
    const response = await platform.fetch(`${baseUrl.replace(/\/$/, "")}/api/match/${path}`, {
      method,
      headers: {
        Authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw await PylonClientError.from(response);
    return response.json();
  }
}
