import { MAX_PAGE_SIZE, PylonError } from "@pylonsync/protocol";
import type { Committer } from "../data/commit.ts";
import type { DataModel } from "../data/model.ts";
import { Reads } from "../data/reads.ts";
import type { FunctionLimits } from "../functions/function-limits.ts";
import type { Runner } from "../functions/runner.ts";
import { checkKeyScope } from "../identity/key-scope.ts";
import type { Platform } from "../platform.ts";
import type { RequestContext } from "../request/context.ts";
import { readerShare, type RequestReader } from "../request/reading.ts";
import { checkedId, splitId } from "../schema/row-input.ts";
import { isRecord } from "../util/is-record.ts";
import type { Tool } from "./tools.ts";

/** The services that tools need. */
export interface ToolServices {
  readonly runner: Pick<Runner, "find" | "run">;
  readonly committer: Committer;
  readonly model: () => DataModel;
  readonly platform: Pick<Platform, "now" | "monotonic">;
  readonly reader: RequestReader;
  /** Counts calls of functions, by tools and otherwise. */
  readonly limits: FunctionLimits;
}

/** The number of rows that a query returns without a `$limit`: models pay for what they read. */
const DEFAULT_ROWS = 50;

/** Calls tools for the caller of one request, under the policies. */
export class ToolCalls {
  readonly #services: ToolServices;
  readonly #context: RequestContext;

  constructor(services: ToolServices, context: RequestContext) {
    this.#services = services;
    this.#context = context;
  }

  /** @throws PylonError like the routes that do the same */
  call({ target }: Tool, args: Readonly<Record<string, unknown>>): Promise<unknown> {
    switch (target.kind) {
      case "function":
        return this.#run(target.name, args);
      case "query":
        return this.#query(target.entity, args["filter"] ?? {});
      case "get":
        return this.#get(target.entity, idIn(args));
      case "insert":
      case "update":
      case "delete":
        return this.#write(target.kind, target.entity, args);
    }
  }

  async #run(name: string, args: Readonly<Record<string, unknown>>): Promise<unknown> {
    const { runner, limits } = this.#services;
    const { caller, requestId, request } = this.#context;
    checkKeyScope(caller, "functions", { name });
    const definition = runner.find(name);
    const address = (): string => this.#context.address;
    await limits.count(name, definition, { caller, address });
    const { value } = await runner.run(name, definition, args, {
      caller,
      readerShare: () => readerShare(this.#context),
      requestId,
      signal: request.signal,
    });
    return value;
  }

  #query(entity: string, filter: unknown): Promise<unknown> {
    if (!isRecord(filter))
      throw new PylonError("INVALID_QUERY", '"filter" must be an object.', { field: "filter" });
    const { $limit: limit = DEFAULT_ROWS } = filter;
    if (typeof limit === "number" && limit > MAX_PAGE_SIZE)
      throw new PylonError("INVALID_QUERY", `A query may return at most ${MAX_PAGE_SIZE} rows.`, {
        field: "$limit",
      });
    return this.#reads(entity).query(entity, { ...filter, $limit: limit });
  }

  async #get(entity: string, id: string): Promise<unknown> {
    const row = await this.#reads(entity).get(entity, id);
    if (row === null) throw notFound(entity, id);
    return row;
  }

  async #write(
    kind: "insert" | "update" | "delete",
    entity: string,
    args: Readonly<Record<string, unknown>>,
  ): Promise<unknown> {
    const { caller } = this.#context;
    checkKeyScope(caller, "write", { entity });
    const options = { caller, writesOnly: [entity] };
    if (kind === "insert") {
      const { id, fields } = splitId(args["data"]);
      const { result } = await this.#services.committer.commit(options, (writer) =>
        writer.insert(entity, fields, checkedId(id)),
      );
      return { id: result };
    }
    const id = idIn(args);
    const { result } = await this.#services.committer.commit(options, (writer) =>
      kind === "update" ? writer.update(entity, id, args["data"]) : writer.delete(entity, id),
    );
    if (!result) throw notFound(entity, id);
    return kind === "update" ? { updated: true } : { deleted: true };
  }

  #reads(entity: string): Reads {
    const { reader, model, platform } = this.#services;
    const { caller } = this.#context;
    checkKeyScope(caller, "read", { entity });
    return new Reads(reader(this.#context), model(), {
      caller,
      policies: "enforced",
      now: platform.now(),
      monotonic: platform.monotonic,
    });
  }
}

/** @throws PylonError INVALID_ID */
function idIn(args: Readonly<Record<string, unknown>>): string {
  const id = args["id"];
  if (typeof id === "string") return id;
  throw new PylonError("INVALID_ID", '"id" must be the id of a row.', { field: "id" });
}

function notFound(entity: string, id: string): PylonError {
  return new PylonError("NOT_FOUND", `No ${entity} has the id "${id.slice(0, 80)}".`);
}
