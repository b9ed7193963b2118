import { JOIN_TOKEN_MS, PylonError } from "@pylonsync/protocol";
import { ANONYMOUS, type Identity } from "../identity/identity.ts";
import type { RequestContext } from "../request/context.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { isoTime } from "../store/system-table.ts";
import { isRecord } from "../util/is-record.ts";
import type { ShardRelays } from "./shard-relays.ts";
import { viewRateOf } from "./shard-socket.ts";
import { openShardStream, type StreamCount } from "./shard-stream.ts";
import { infoOf, type Shards } from "./shards.ts";

const MAX_USER_ID = 128;

/**
 * Returns the error of a server without shards.
 */
export function shardsNotAvailable(): PylonError {
  return new PylonError("SHARDS_NOT_AVAILABLE", "This server hosts no shards.");
}

/**
 * Routes of the shards of this replica. An app without shards responds with 503, except to the list
 * of the admin.
 */
export function shardRoutes(shards: Shards, relays: ShardRelays, count: StreamCount): Route[] {
  const handlers = new ShardHandlers(shards, relays, count);
  const common = { access: "anyone", scope: "open" } as const;
  const one = "/api/shards/:id";
  return [
    { ...common, method: "GET", path: "/api/shards", handle: (context) => handlers.list(context) },
    { ...common, method: "GET", path: one, handle: (context) => handlers.get(context) },
    { ...common, method: "DELETE", path: one, handle: (context) => handlers.forget(context) },
    {
      ...common,
      method: "POST",
      path: `${one}/input`,
      scope: "write",
      body: "small",
      handle: (context) => handlers.input(context),
    },
    {
      ...common,
      method: "POST",
      path: `${one}/token`,
      scope: "write",
      body: "small",
      handle: (context) => handlers.token(context),
    },
    {
      ...common,
      method: "POST",
      path: `${one}/stop`,
      body: "none",
      handle: (context) => handlers.stop(context),
    },
    {
      ...common,
      method: "POST",
      path: `${one}/kick`,
      body: "small",
      handle: (context) => handlers.kick(context),
    },
    {
      ...common,
      method: "GET",
      path: `${one}/connect`,
      scope: "write",
      handle: (context) => handlers.connect(context),
    },
  ];
}

/** The handlers, one method per route. */
class ShardHandlers {
  readonly #shards: Shards;
  readonly #relays: ShardRelays;
  readonly #count: StreamCount;

  constructor(shards: Shards, relays: ShardRelays, count: StreamCount) {
    this.#shards = shards;
    this.#relays = relays;
    this.#count = count;
  }

  list({ caller }: RequestContext): Answer {
    if (!this.#shards.hasAny && !caller.isAdmin) throw shardsNotAvailable();
    this.#checkAdmin(caller.isAdmin);
    return json(this.#shards.list());
  }

  get(context: RequestContext): Promise<Answer> {
    this.#checkHosting();
    this.#checkAdmin(context.caller.isAdmin);
    return this.#whereItRuns(context, null, () =>
      json(infoOf(this.#shards.get(context.param("id")))),
    );
  }

  /** Handles a request here, or forwards it to the replica that runs the shard. */
  async #whereItRuns(
    context: RequestContext,
    body: object | null,
    work: () => Answer | Promise<Answer>,
  ): Promise<Answer> {
    try {
      return await work();
    } catch (error) {
      const isNotHere =
        error instanceof PylonError && ["SHARD_NOT_FOUND", "SHARD_ELSEWHERE"].includes(error.code);
      if (!isNotHere) throw error;
      const text = body === null ? null : JSON.stringify(body);
      const answer = await this.#relays.forward(context.param("id"), context, text);
      if (answer === null) throw error;
      return answer;
    }
  }

  async stop(context: RequestContext): Promise<Answer> {
    this.#checkHosting();
    this.#checkAdmin(context.caller.isAdmin);
    return this.#whereItRuns(context, null, async () => {
      await this.#shards.stop(context.param("id"));
      return json({ stopped: true });
    });
  }

  async forget(context: RequestContext): Promise<Answer> {
    this.#checkHosting();
    this.#checkAdmin(context.caller.isAdmin);
    const id = context.param("id");
    return this.#whereItRuns(context, null, async () => {
      if (await this.#shards.forget(id)) return json({ deleted: true });
      throw new PylonError("SHARD_NOT_FOUND", `The shard "${id.slice(0, 80)}" does not exist.`);
    });
  }

  async kick(context: RequestContext): Promise<Answer> {
    this.#checkHosting();
    this.#checkAdmin(context.caller.isAdmin);
    const body = await bodyOf(context);
    const [player, reason] = [body["player"], body["reason"] ?? "by the admin"];
    if (typeof player !== "string" || player === "")
      throw new PylonError("MISSING_FIELD", '"player", the id of a user, is missing.', {
        field: "player",
      });
    if (typeof reason !== "string")
      throw new PylonError("INVALID_DATA", '"reason" must be a string.', { field: "reason" });
    return this.#whereItRuns(context, body, async () =>
      json({ kicked: await this.#shards.get(context.param("id")).kick(player, reason) }),
    );
  }

  /** The token determines the player, so that nobody can send inputs for another player. */
  async input(context: RequestContext): Promise<Answer> {
    this.#checkHosting();
    const body = await bodyOf(context);
    return this.#whereItRuns(context, body, () => this.#inputHere(context, body));
  }

  #inputHere(context: RequestContext, body: Readonly<Record<string, unknown>>): Answer {
    const { userId, isAdmin } = context.caller;
    const subscriberId = body["subscriber_id"] ?? userId;
    const host = this.#shards.get(context.param("id"));
    if (typeof subscriberId !== "string")
      throw new PylonError("AUTH_REQUIRED", "You are not signed in.");
    if (subscriberId !== userId && !isAdmin)
      throw new PylonError("FORBIDDEN", "You can't send input for another user.", {
        field: "subscriber_id",
        hint: "Omit the field.",
      });
    const connection = host.connectionOf(subscriberId);
    if (connection === undefined)
      throw new PylonError("INPUT_REJECTED", "This user is not connected to the shard.", {
        hint: "Open its socket or its stream first.",
      });
    const clientSeq = body["client_seq"] ?? null;
    if (clientSeq !== null && !isSeq(clientSeq))
      throw new PylonError("INVALID_DATA", '"client_seq" must be a whole number of at least 0.', {
        field: "client_seq",
      });
    const seq = this.#shards.input(connection, body["input"] ?? null, { clientSeq });
    return json({ accepted: true, seq });
  }

  /** Creates a join token for the caller, or for any user if the caller is the admin. */
  async token(context: RequestContext): Promise<Answer> {
    this.#checkHosting();
    const body = await bodyOf(context);
    const shardId = context.param("id");
    const { inviteOnly = false } = this.#shards.definitionOf(shardId);
    const role = body["role"] ?? "player";
    if (role !== "player" && role !== "spectator")
      throw new PylonError("INVALID_DATA", '"role" must be "player" or "spectator".', {
        field: "role",
      });
    const identity = joinerOf(context, body["user_id"]);
    const subscriberId = identity.caller.userId;
    if (subscriberId === null)
      throw new PylonError("AUTH_REQUIRED", "You are not signed in.", {
        hint: "Sign in, at least as a guest; the admin sends a user_id.",
      });
    if (inviteOnly && !context.caller.isAdmin)
      throw new PylonError("FORBIDDEN", "This shard is by invitation only.", {
        hint: "The matchmaker returns a join token, or the admin can create one.",
      });
    const claims = { shardId, subscriberId, role, identity } as const;
    const token = await this.#shards.tokens.sign(claims, JOIN_TOKEN_MS);
    const expires_at = isoTime(this.#shards.platform.now() + JOIN_TOKEN_MS);
    return json({ token, shard: shardId, user_id: subscriberId, role, expires_at });
  }

  connect(context: RequestContext): Promise<Answer> {
    this.#checkHosting();
    const { caller, identity } = context;
    if (caller.userId === null && !caller.isAdmin)
      throw new PylonError("AUTH_REQUIRED", "You are not signed in.");
    const subscriberId = context.query("sid") ?? caller.userId ?? "";
    const role = context.query("role") === "spectator" ? "spectator" : "player";
    const shardId = context.param("id");
    const rate = viewRateOf(context.query("rate"));
    const join = { shardId, subscriberId, identity, role, rate, isInvited: false } as const;
    return this.#whereItRuns(context, null, () =>
      openShardStream(this.#shards, join, this.#count, context.address),
    );
  }

  #checkHosting(): void {
    if (!this.#shards.hasAny) throw shardsNotAvailable();
  }

  #checkAdmin(isAdmin: boolean): void {
    if (isAdmin) return;
    throw new PylonError("FORBIDDEN", "Only the admin may do this.", {
      hint: "Send Authorization: Bearer <PYLON_ADMIN_TOKEN>.",
    });
  }
}

/**
 * Returns the identity for which a join token is created.
 *
 * @throws PylonError FORBIDDEN, INVALID_DATA
 */
function joinerOf({ caller, identity }: RequestContext, userId: unknown): Identity {
  if (userId === undefined || userId === caller.userId) return identity;
  if (!caller.isAdmin)
    throw new PylonError("FORBIDDEN", "You can't create a token for another user.", {
      field: "user_id",
      hint: "Omit the field.",
    });
  if (typeof userId !== "string" || userId === "" || userId.length > MAX_USER_ID)
    throw new PylonError("INVALID_DATA", '"user_id" must be the id of a user.', {
      field: "user_id",
    });
  return { caller: { ...ANONYMOUS, userId }, sessionId: null, expiresAt: Infinity };
}

function isSeq(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

async function bodyOf(context: RequestContext): Promise<Readonly<Record<string, unknown>>> {
  const body = await context.json();
  if (!isRecord(body)) throw new PylonError("INVALID_JSON", "The body must be a JSON object.");
  return body;
}
