import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../request/context.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { isRecord } from "../util/is-record.ts";
import { openShardStream, type StreamCount } from "./shard-stream.ts";
import { infoOf, type Shards } from "./shards.ts";

/**
 * What a server without shards says to who looks for one: clients wait and try again, or give up
 * with a reason.
 */
export function shardsNotAvailable(): PylonError {
  return new PylonError("SHARDS_NOT_AVAILABLE", "This server hosts no shards.");
}

/**
 * The shards that run here, over HTTP. An app without shards answers 503, but to its admin's list.
 */
export function shardRoutes(shards: Shards, count: StreamCount): Route[] {
  const handlers = new ShardHandlers(shards, count);
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

/** A method a route. */
class ShardHandlers {
  readonly #shards: Shards;
  readonly #count: StreamCount;

  constructor(shards: Shards, count: StreamCount) {
    this.#shards = shards;
    this.#count = count;
  }

  list({ caller }: RequestContext): Answer {
    if (!this.#shards.hasAny && !caller.isAdmin) throw shardsNotAvailable();
    this.#checkAdmin(caller.isAdmin);
    return json(this.#shards.list());
  }

  get(context: RequestContext): Answer {
    this.#checkHosting();
    this.#checkAdmin(context.caller.isAdmin);
    return json(infoOf(this.#shards.get(context.param("id"))));
  }

  async stop(context: RequestContext): Promise<Answer> {
    this.#checkHosting();
    this.#checkAdmin(context.caller.isAdmin);
    await this.#shards.stop(context.param("id"));
    return json({ stopped: true });
  }

  async forget(context: RequestContext): Promise<Answer> {
    this.#checkHosting();
    this.#checkAdmin(context.caller.isAdmin);
    const id = context.param("id");
    if (await this.#shards.forget(id)) return json({ deleted: true });
    throw new PylonError("SHARD_NOT_FOUND", `There is no shard "${id.slice(0, 80)}".`);
  }

  async kick(context: RequestContext): Promise<Answer> {
    this.#checkHosting();
    this.#checkAdmin(context.caller.isAdmin);
    const body = await bodyOf(context);
    const [player, reason] = [body["player"], body["reason"] ?? "by the admin"];
    if (typeof player !== "string" || player === "")
      throw new PylonError("MISSING_FIELD", '"player" is missing: the id of a user.', {
        field: "player",
      });
    if (typeof reason !== "string")
      throw new PylonError("INVALID_DATA", '"reason" is a text.', { field: "reason" });
    return json({ kicked: this.#shards.get(context.param("id")).kick(player, reason) });
  }

  /** The caller is known by the token: nobody drives another's player. */
  async input(context: RequestContext): Promise<Answer> {
    this.#checkHosting();
    const body = await bodyOf(context);
    const { userId, isAdmin } = context.caller;
    const subscriberId = body["subscriber_id"] ?? userId;
    const host = this.#shards.get(context.param("id"));
    if (typeof subscriberId !== "string")
      throw new PylonError("AUTH_REQUIRED", "Nobody is signed in.");
    if (subscriberId !== userId && !isAdmin)
      throw new PylonError("FORBIDDEN", "Another user's input can't be sent.", {
        field: "subscriber_id",
        hint: "Leave it out.",
      });
    const connection = host.connectionOf(subscriberId);
    if (connection === undefined)
      throw new PylonError("INPUT_REJECTED", "This user is not connected to the shard.", {
        hint: "Open its socket or its stream first.",
      });
    const clientSeq = body["client_seq"] ?? null;
    if (clientSeq !== null && !isSeq(clientSeq))
      throw new PylonError("INVALID_DATA", '"client_seq" is a whole number from 0.', {
        field: "client_seq",
      });
    const seq = this.#shards.input(connection, body["input"] ?? null, clientSeq);
    return json({ accepted: true, seq });
  }

  connect(context: RequestContext): Promise<Answer> {
    this.#checkHosting();
    const { caller, identity } = context;
    if (caller.userId === null && !caller.isAdmin)
      throw new PylonError("AUTH_REQUIRED", "Nobody is signed in.");
    const subscriberId = context.query("sid") ?? caller.userId ?? "";
    const join = { shardId: context.param("id"), subscriberId, identity };
    return openShardStream(this.#shards, join, this.#count, context.address);
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

function isSeq(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

async function bodyOf(context: RequestContext): Promise<Readonly<Record<string, unknown>>> {
  const body = await context.json();
  if (!isRecord(body)) throw new PylonError("INVALID_JSON", "The body is not a JSON object.");
  return body;
}
