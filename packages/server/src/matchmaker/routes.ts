import { JOIN_TOKEN_MS, PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../request/context.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import type { JoinTokens } from "../shards/join-tokens.ts";
import { isoTime, isoTimeOrNull } from "../store/system-table.ts";
import { isRecord } from "../util/is-record.ts";
import type { Matchmaker } from "./matchmaker.ts";
import type { MatchTickets, Ticket } from "./match-tickets.ts";
import { queueOf } from "./match-rules.ts";

const MAX_WAIT_SECONDS = 25;
const MAX_PARTY = 1_000;

/** The services that the routes of tickets use. */
export interface MatchRouteServices {
  readonly matchmaker: Matchmaker;
  readonly tickets: MatchTickets;
  readonly tokens: JoinTokens;
  readonly now: () => number;
}

/** Routes of match tickets. A ticket is only accessible to its players. */
export function matchRoutes(services: MatchRouteServices): Route[] {
  const handlers = new MatchHandlers(services);
  const common = { access: "signed-in", scope: "write" } as const;
  const one = "/api/match/tickets/:id";
  return [
    {
      ...common,
      method: "POST",
      path: "/api/match/:shard",
      body: "small",
      handle: (context) => handlers.add(context),
    },
    { ...common, method: "GET", path: one, handle: (context) => handlers.get(context) },
    { ...common, method: "DELETE", path: one, handle: (context) => handlers.cancel(context) },
    {
      ...common,
      method: "POST",
      path: `${one}/party`,
      body: "none",
      handle: (context) => handlers.join(context),
    },
    {
      ...common,
      method: "POST",
      path: `${one}/accept`,
      body: "none",
      handle: (context) => handlers.accept(context),
    },
  ];
}

/** The handlers, one method per route. */
class MatchHandlers {
  readonly #services: MatchRouteServices;

  constructor(services: MatchRouteServices) {
    this.#services = services;
  }

  async add(context: RequestContext): Promise<Answer> {
    const body: unknown = await context.json();
    if (!isRecord(body)) throw new PylonError("INVALID_JSON", "The body must be a JSON object.");
    const partySize = body["party_size"] ?? 1;
    if (!isCount(partySize))
      throw new PylonError("INVALID_DATA", `"party_size" must be from 1 to ${MAX_PARTY}.`, {
        field: "party_size",
      });
    const ticket = await this.#services.matchmaker.add(userOf(context), {
      shard: context.param("shard"),
      mode: textOf(body, "mode"),
      region: textOf(body, "region"),
      partySize,
    });
    return this.#answer(context, ticket, 201);
  }

  /** With `wait` and `status` it responds once the status differs, or after `wait` seconds. */
  async get(context: RequestContext): Promise<Answer> {
    const { matchmaker } = this.#services;
    const [id, userId, wait] = [context.param("id"), userOf(context), context.query("wait")];
    if (wait === null) return this.#answer(context, await matchmaker.get(id, userId));
    const seconds = Number(wait);
    if (!(seconds >= 0 && seconds <= MAX_WAIT_SECONDS))
      throw new PylonError(
        "INVALID_QUERY",
        `"wait" must be from 0 to ${MAX_WAIT_SECONDS} seconds.`,
        {
          field: "wait",
        },
      );
    const status = context.query("status") ?? (await matchmaker.get(id, userId)).status;
    return this.#answer(context, await matchmaker.changed(id, userId, status, seconds * 1000));
  }

  async cancel(context: RequestContext): Promise<Answer> {
    await this.#services.tickets.cancel(context.param("id"), userOf(context));
    return json({ cancelled: true });
  }

  async join(context: RequestContext): Promise<Answer> {
    const ticket = await this.#services.matchmaker.join(context.param("id"), userOf(context));
    return this.#answer(context, ticket);
  }

  async accept(context: RequestContext): Promise<Answer> {
    const ticket = await this.#services.tickets.accept(context.param("id"), userOf(context));
    return this.#answer(context, ticket);
  }

  async #answer(context: RequestContext, ticket: Ticket, status = 200): Promise<Answer> {
    const { shard, mode, region } = queueOf(ticket.queue);
    const { id, size, players, createdAt, expiresAt, acceptUntil } = ticket;
    const waited = Math.max(0, this.#services.now() - createdAt);
    const common = {
      id,
      status: ticket.status,
      shard,
      mode,
      region,
      party_size: size,
      players,
      waiting_secs: Math.floor(waited / 1000),
      expires_at: isoTime(expiresAt),
    };
    if (ticket.status === "proposed")
      return json(
        { ...common, accept_until: isoTimeOrNull(acceptUntil), accepted: ticket.accepted },
        status,
      );
    if (ticket.status !== "matched" || ticket.matchId === null) return json(common, status);
    return json(
      {
        ...common,
        shard_id: ticket.matchId,
        join_token: await this.#tokenOf(context, ticket.matchId),
      },
      status,
    );
  }

  #tokenOf(context: RequestContext, shardId: string): Promise<string> {
    const { identity } = context;
    const subscriberId = userOf(context);
    const claims = { shardId, subscriberId, role: "player", identity } as const;
    return this.#services.tokens.sign(claims, JOIN_TOKEN_MS);
  }
}

/** @throws PylonError AUTH_REQUIRED, also for the admin, who can't play matches */
function userOf({ caller }: RequestContext): string {
  if (caller.userId !== null) return caller.userId;
  throw new PylonError("AUTH_REQUIRED", "You are not signed in.", {
    hint: "Send the token of a user or a guest.",
  });
}

function textOf(body: Readonly<Record<string, unknown>>, field: string): string | undefined {
  const value = body[field];
  if (value === undefined || typeof value === "string") return value;
  throw new PylonError("INVALID_DATA", `"${field}" must be a string.`, { field });
}

function isCount(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX_PARTY;
}
