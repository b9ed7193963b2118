import { DEFAULT_PAGE_SIZE, isRowId, MAX_PAGE_SIZE, PylonError } from "@pylonsync/protocol";
import type { Platform } from "../platform.ts";
import type { RequestContext } from "../request/context.ts";
import type { RequestReader } from "../request/reading.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { checkedId } from "../schema/row-input.ts";
import type { Store } from "../store/store.ts";
import type { CommitOptions, Committer } from "./commit.ts";
import { operationOf } from "./idempotency.ts";
import type { DataModel } from "./model.ts";
import { Reads } from "./reads.ts";

export interface DataServices {
  /** Its log. Rows are read by `reader`, which keeps to the caller's share and deadline. */
  readonly store: Pick<Store, "bounds" | "changes">;
  readonly committer: Committer;
  readonly model: () => DataModel;
  readonly platform: Platform;
  /** Reads on behalf of a request's caller. */
  readonly reader: RequestReader;
}

const CURSOR_PAGE = { fallback: 20, max: MAX_PAGE_SIZE };

/** Rows over HTTP: lists, pages, queries, aggregates and single writes, all under the policies. */
export function dataRoutes(services: DataServices): Route[] {
  const { committer } = services;
  const reads = (context: RequestContext): Reads =>
    new Reads(services.reader(context), services.model(), {
      caller: context.caller,
      policies: "enforced",
      now: services.platform.now(),
    });

  const list = async (context: RequestContext): Promise<Answer> => {
    const limit = integer(context, "limit", {
      fallback: DEFAULT_PAGE_SIZE,
      min: 0,
      max: MAX_PAGE_SIZE,
    });
    const offset = integer(context, "offset", {
      fallback: 0,
      min: 0,
      max: Number.MAX_SAFE_INTEGER,
    });
    const { rows, hasMore } = await reads(context).listPage(context.param("entity"), limit, offset);
    return json({ data: rows, count: rows.length, offset, limit, has_more: hasMore });
  };

  const cursor = async (context: RequestContext): Promise<Answer> => {
    const numItems = integer(context, "limit", {
      fallback: CURSOR_PAGE.fallback,
      min: 1,
      max: CURSOR_PAGE.max,
    });
    const after = context.query("after");
    if (after !== null && !isRowId(after))
      throw new PylonError("INVALID_QUERY", '"after" is the next_cursor of a page.', {
        field: "after",
        hint: "Leave it out for the first page.",
      });
    const page = await reads(context).paginate(context.param("entity"), {
      cursor: after,
      numItems,
    });
    return json({ data: page.page, next_cursor: page.nextCursor, has_more: !page.isDone });
  };

  const get = async (context: RequestContext): Promise<Answer> => {
    const row = await reads(context).get(context.param("entity"), context.param("id"));
    if (row === null) throw notFound(context);
    return json(row);
  };

  const lookup = async (context: RequestContext): Promise<Answer> => {
    const entity = context.param("entity");
    const kind = services.model().entity(entity).publicShape.fields.get(context.param("field"));
    const value = fromText(kind, context.param("value"));
    const row = await reads(context).lookup(entity, context.param("field"), value);
    if (row === null)
      throw new PylonError("NOT_FOUND", `No ${entity} has this ${context.param("field")}.`);
    return json(row);
  };

  const insert = async (context: RequestContext): Promise<Answer> => {
    const body = await context.json();
    const entity = context.param("entity");
    const { id, data } = takeId(body);
    const { result } = await committer.commit(
      write(context, entity, `insert ${entity}`, body),
      (writer) => writer.insert(entity, data, id),
    );
    return json({ id: result }, 201);
  };

  const update = async (context: RequestContext): Promise<Answer> => {
    const body = await context.json();
    const { result } = await committer.commit(
      write(
        context,
        context.param("entity"),
        `update ${context.param("entity")}/${context.param("id")}`,
        body,
      ),
      (writer) => writer.update(context.param("entity"), context.param("id"), body),
    );
    if (!result) throw notFound(context);
    return json({ updated: true });
  };

  const remove = async (context: RequestContext): Promise<Answer> => {
    const { result } = await committer.commit(
      write(
        context,
        context.param("entity"),
        `delete ${context.param("entity")}/${context.param("id")}`,
        null,
      ),
      (writer) => writer.delete(context.param("entity"), context.param("id")),
    );
    if (!result) throw notFound(context);
    return json({ deleted: true });
  };

  const setLink =
    (linked: boolean) =>
    async (context: RequestContext): Promise<Answer> => {
      const body = linkBody(await context.json(), linked);
      const { entity, id, relation, target_id: target } = body;
      const { result } = await committer.commit(
        write(context, entity, `link ${entity}/${id}/${relation}`, [linked, target]),
        (writer) =>
          linked ? writer.link(entity, id, relation, target) : writer.unlink(entity, id, relation),
      );
      if (!result) throw new PylonError("NOT_FOUND", `No ${entity} has the id "${id}".`);
      return json(linked ? { linked: true } : { unlinked: true });
    };

  return [
    { method: "GET", path: "/api/entities/:entity", access: "anyone", scope: "read", handle: list },
    {
      method: "GET",
      path: "/api/entities/:entity/cursor",
      access: "anyone",
      scope: "read",
      handle: cursor,
    },
    {
      method: "POST",
      path: "/api/entities/:entity",
      body: "rows",
      access: "anyone",
      scope: "write",
      handle: insert,
    },
    {
      method: "GET",
      path: "/api/entities/:entity/:id",
      access: "anyone",
      scope: "read",
      handle: get,
    },
    {
      method: "PATCH",
      path: "/api/entities/:entity/:id",
      body: "rows",
      access: "anyone",
      scope: "write",
      handle: update,
    },
    {
      method: "DELETE",
      path: "/api/entities/:entity/:id",
      access: "anyone",
      scope: "write",
      handle: remove,
    },
    {
      method: "GET",
      path: "/api/lookup/:entity/:field/:value",
      access: "anyone",
      scope: "read",
      handle: lookup,
    },
    {
      method: "POST",
      path: "/api/query",
      body: "query",
      access: "anyone",
      scope: "read",
      handle: async (context) => json(await reads(context).queryGraph(await context.json())),
    },
    {
      method: "POST",
      path: "/api/query/:entity",
      body: "query",
      access: "anyone",
      scope: "read",
      handle: async (context) => json(await queryPage(reads(context), context)),
    },
    {
      method: "POST",
      path: "/api/aggregate/:entity",
      body: "query",
      access: "anyone",
      scope: "read",
      handle: async (context) =>
        json({
          rows: await reads(context).aggregate(context.param("entity"), await context.json()),
        }),
    },
    {
      method: "POST",
      path: "/api/link",
      body: "small",
      access: "anyone",
      scope: "write",
      handle: setLink(true),
    },
    {
      method: "POST",
      path: "/api/unlink",
      body: "small",
      access: "anyone",
      scope: "write",
      handle: setLink(false),
    },
  ];
}

/**
 * A query from outside answers at most MAX_PAGE_SIZE rows, so that one request can't ask for a
 * whole table at once.
 */
async function queryPage(reads: Reads, context: RequestContext): Promise<unknown> {
  const filter = await context.json({});
  if (typeof filter !== "object" || filter === null || Array.isArray(filter)) {
    throw new PylonError("INVALID_QUERY", "A filter is an object.", {
      hint: "Send {} for all rows.",
    });
  }
  const limit = (filter as { $limit?: unknown }).$limit;
  if (typeof limit === "number" && limit > MAX_PAGE_SIZE) {
    throw new PylonError("INVALID_QUERY", `A query answers at most ${MAX_PAGE_SIZE} rows.`, {
      field: "$limit",
      hint: "Page with $offset, or use /api/entities/E/cursor.",
    });
  }
  return reads.query(context.param("entity"), { $limit: MAX_PAGE_SIZE, ...filter });
}

function write(
  context: RequestContext,
  entity: string,
  purpose: string,
  body: unknown,
): CommitOptions {
  return {
    caller: context.caller,
    writesOnly: [entity],
    op: operationOf(context.request.headers, purpose, body),
  };
}

/** Clients send the row they have, so an `id` in the body is the row's id and not a field. */
function takeId(body: unknown): { id: string | undefined; data: unknown } {
  if (typeof body !== "object" || body === null || !Object.hasOwn(body, "id"))
    return { id: undefined, data: body };
  const { id, ...data } = body as { id: unknown };
  return { id: checkedId(id ?? undefined), data };
}

function linkBody(
  body: unknown,
  needsTarget: boolean,
): { entity: string; id: string; relation: string; target_id: string } {
  const fields = (body ?? {}) as Record<string, unknown>;
  for (const name of needsTarget
    ? ["entity", "id", "relation", "target_id"]
    : ["entity", "id", "relation"]) {
    if (typeof fields[name] !== "string") {
      throw new PylonError(
        name === "entity" ? "MISSING_ENTITY" : "MISSING_FIELD",
        `"${name}" is missing or not a string.`,
        { field: name },
      );
    }
  }
  checkedId(fields["id"]);
  return fields as { entity: string; id: string; relation: string; target_id: string };
}

function integer(
  context: RequestContext,
  name: string,
  range: { fallback: number; min: number; max: number },
): number {
  const text = context.query(name);
  if (text === null) return range.fallback;
  const value = Number(text);
  if (!/^\d{1,16}$/.test(text) || value < range.min || value > range.max) {
    throw new PylonError(
      "INVALID_QUERY",
      `"${name}" is a whole number from ${range.min} to ${range.max}.`,
      { field: name },
    );
  }
  return value;
}

/** A path holds text; the field's kind says what it means. */
function fromText(kind: string | undefined, text: string): unknown {
  if (kind === "int" || kind === "float") return Number(text);
  if (kind === "bool") return text === "true" ? true : text === "false" ? false : text;
  return text;
}

function notFound(context: RequestContext): PylonError {
  return new PylonError(
    "NOT_FOUND",
    `No ${context.param("entity")} has the id "${context.param("id").slice(0, 80)}".`,
  );
}
