import { isRowId, MAX_PAGE_SIZE, PylonError } from "@pylonsync/protocol";
import type { Platform } from "../platform.ts";
import type { RequestContext } from "../request/context.ts";
import type { RequestReader } from "../request/reading.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { checkedId } from "../schema/row-input.ts";
import type { Store } from "../store/store.ts";
import { isRecord } from "../util/is-record.ts";
import type { CommitOptions, Committer } from "./commit.ts";
import { operationOf } from "./idempotency.ts";
import type { DataModel } from "./model.ts";
import { Reads } from "./reads.ts";

/** The services that the routes of rows use. */
export interface DataServices {
  /**
   * The log of changes. Rows are read by `reader`, which applies the caller's quota and deadline.
   */
  readonly store: Pick<Store, "bounds" | "changes" | "settle">;
  readonly committer: Committer;
  readonly model: () => DataModel;
  readonly platform: Platform;
  /** Reads on behalf of a request's caller. */
  readonly reader: RequestReader;
}

const CURSOR_PAGE = { fallback: 20, max: MAX_PAGE_SIZE };

const READ = { access: "anyone", scope: "read" } as const;
const WRITE = { access: "anyone", scope: "write" } as const;

/**
 * Rows over HTTP: lists, pages, queries, aggregates and single writes, all subject to the policies.
 */
export function dataRoutes(services: DataServices): Route[] {
  const rows = new RowHandlers(services);
  const { list, cursor, get, lookup, insert, update, remove } = rows;
  const { graph, query, page, aggregate, search } = rows;
  const rowsPath = "/api/entities/:entity";
  const rowPath = "/api/entities/:entity/:id";
  const setLink = (linked: boolean) => (context: RequestContext) => rows.setLink(context, linked);
  return [
    { ...READ, method: "GET", path: rowsPath, handle: list },
    { ...READ, method: "GET", path: "/api/entities/:entity/cursor", handle: cursor },
    { ...WRITE, method: "POST", path: rowsPath, body: "rows", handle: insert },
    { ...READ, method: "GET", path: rowPath, handle: get },
    { ...WRITE, method: "PATCH", path: rowPath, body: "rows", handle: update },
    { ...WRITE, method: "DELETE", path: rowPath, handle: remove },
    { ...READ, method: "GET", path: "/api/lookup/:entity/:field/:value", handle: lookup },
    { ...READ, method: "POST", path: "/api/query", body: "query", handle: graph },
    { ...READ, method: "POST", path: "/api/query/:entity", body: "query", handle: query },
    { ...READ, method: "POST", path: "/api/page/:entity", body: "query", handle: page },
    { ...READ, method: "POST", path: "/api/aggregate/:entity", body: "query", handle: aggregate },
    { ...READ, method: "POST", path: "/api/search/:entity", body: "query", handle: search },
    { ...WRITE, method: "POST", path: "/api/link", body: "small", handle: setLink(true) },
    { ...WRITE, method: "POST", path: "/api/unlink", body: "small", handle: setLink(false) },
  ];
}

/** The handlers of the routes. */
class RowHandlers {
  readonly #services: DataServices;

  constructor(services: DataServices) {
    this.#services = services;
  }

  readonly list = async (context: RequestContext): Promise<Answer> => {
    const limit = integer(context, "limit", {
      fallback: MAX_PAGE_SIZE,
      min: 0,
      max: MAX_PAGE_SIZE,
    });
    const offset = integer(context, "offset", {
      fallback: 0,
      min: 0,
      max: Number.MAX_SAFE_INTEGER,
    });
    const { rows, hasMore } = await this.#reads(context).listPage(
      context.param("entity"),
      limit,
      offset,
    );
    return json({ data: rows, count: rows.length, offset, limit, has_more: hasMore });
  };

  readonly cursor = async (context: RequestContext): Promise<Answer> => {
    const numItems = integer(context, "limit", {
      fallback: CURSOR_PAGE.fallback,
      min: 1,
      max: CURSOR_PAGE.max,
    });
    const after = context.query("after");
    if (after !== null && !isRowId(after))
      throw new PylonError("INVALID_QUERY", '"after" must be the next_cursor of a page.', {
        field: "after",
        hint: "Omit it for the first page.",
      });
    const page = await this.#reads(context).paginate(context.param("entity"), {
      cursor: after,
      numItems,
    });
    return json({ data: page.page, next_cursor: page.nextCursor, has_more: !page.isDone });
  };

  readonly get = async (context: RequestContext): Promise<Answer> => {
    const row = await this.#reads(context).get(context.param("entity"), context.param("id"));
    if (row === null) throw notFound(context);
    return json(row);
  };

  readonly lookup = async (context: RequestContext): Promise<Answer> => {
    const entity = context.param("entity");
    const { publicShape } = this.#services.model().entityFor(entity, context.caller);
    const kind = publicShape.fields.get(context.param("field"));
    const value = fromText(kind, context.param("value"));
    const row = await this.#reads(context).lookup(entity, context.param("field"), value);
    if (row === null)
      throw new PylonError("NOT_FOUND", `No ${entity} has this ${context.param("field")}.`);
    return json(row);
  };

  readonly graph = async (context: RequestContext): Promise<Answer> =>
    json(await this.#reads(context).queryGraph(await context.json()));

  readonly query = async (context: RequestContext): Promise<Answer> =>
    json(await queryPage(this.#reads(context), context));

  readonly page = async (context: RequestContext): Promise<Answer> => {
    const { page, nextCursor, prevCursor, isDone } = await this.#reads(context).paginate(
      context.param("entity"),
      await context.json({}),
    );
    const cursors = { next_cursor: nextCursor, prev_cursor: prevCursor };
    return json({ data: page, ...cursors, has_more: !isDone });
  };

  readonly aggregate = async (context: RequestContext): Promise<Answer> => {
    const reads = this.#reads(context);
    return json({ rows: await reads.aggregate(context.param("entity"), await context.json()) });
  };

  readonly search = async (context: RequestContext): Promise<Answer> =>
    json(await this.#reads(context).search(context.param("entity"), await context.json({})));

  readonly insert = async (context: RequestContext): Promise<Answer> => {
    const body = await context.json();
    const entity = context.param("entity");
    const { id, data } = takeId(body);
    const options = write(context, entity, `insert ${entity}`, body);
    const { result } = await this.#services.committer.commit(options, (writer) =>
      writer.insert(entity, data, id),
    );
    return json({ id: result }, 201);
  };

  readonly update = async (context: RequestContext): Promise<Answer> => {
    const body = await context.json();
    const [entity, id] = [context.param("entity"), context.param("id")];
    const options = write(context, entity, `update ${entity}/${id}`, body);
    const { result } = await this.#services.committer.commit(options, (writer) =>
      writer.update(entity, id, body),
    );
    if (!result) throw notFound(context);
    return json({ updated: true });
  };

  readonly remove = async (context: RequestContext): Promise<Answer> => {
    const [entity, id] = [context.param("entity"), context.param("id")];
    const options = write(context, entity, `delete ${entity}/${id}`, null);
    const { result } = await this.#services.committer.commit(options, (writer) =>
      writer.delete(entity, id),
    );
    if (!result) throw notFound(context);
    return json({ deleted: true });
  };

  async setLink(context: RequestContext, linked: boolean): Promise<Answer> {
    const { entity, id, relation, target } = linkBody(await context.json(), linked);
    const purpose = `link ${entity}/${id}/${relation}`;
    const { result } = await this.#services.committer.commit(
      write(context, entity, purpose, [linked, target]),
      (writer) =>
        target === undefined
          ? writer.unlink(entity, id, relation)
          : writer.link(entity, id, relation, target),
    );
    if (!result) throw new PylonError("NOT_FOUND", `No ${entity} has the id "${id}".`);
    return json(linked ? { linked: true } : { unlinked: true });
  }

  #reads(context: RequestContext): Reads {
    const { reader, model, platform } = this.#services;
    return new Reads(reader(context), model(), {
      caller: context.caller,
      policies: "enforced",
      now: platform.now(),
      monotonic: platform.monotonic,
    });
  }
}

/**
 * A query from outside returns at most MAX_PAGE_SIZE rows, so that one request can't read a whole
 * table at once.
 */
async function queryPage(reads: Reads, context: RequestContext): Promise<unknown> {
  const filter = await context.json({});
  if (!isRecord(filter)) {
    throw new PylonError("INVALID_QUERY", "A filter must be an object.", {
      hint: "Send {} for all rows.",
    });
  }
  const { $limit: limit } = filter;
  if (typeof limit === "number" && limit > MAX_PAGE_SIZE) {
    throw new PylonError("INVALID_QUERY", `A query may return at most ${MAX_PAGE_SIZE} rows.`, {
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

/** Clients send the whole row, so an `id` in the body is the row's id and not a field. */
function takeId(body: unknown): { id: string | undefined; data: unknown } {
  if (!isRecord(body) || !Object.hasOwn(body, "id")) return { id: undefined, data: body };
  const { id, ...data } = body;
  return { id: checkedId(id ?? undefined), data };
}

/** @returns without a `target` if the link is to be removed */
function linkBody(
  body: unknown,
  needsTarget: boolean,
): {
  readonly entity: string;
  readonly id: string;
  readonly relation: string;
  readonly target: string | undefined;
} {
  const fields = isRecord(body) ? body : {};
  const entity = textIn(fields, "entity");
  const id = textIn(fields, "id");
  const relation = textIn(fields, "relation");
  const target = needsTarget ? textIn(fields, "target_id") : undefined;
  checkedId(id);
  return { entity, id, relation, target };
}

/** @throws PylonError MISSING_ENTITY, MISSING_FIELD */
function textIn(fields: Readonly<Record<string, unknown>>, name: string): string {
  const value = fields[name];
  if (typeof value === "string") return value;
  throw new PylonError(
    name === "entity" ? "MISSING_ENTITY" : "MISSING_FIELD",
    `"${name}" is missing or not a string.`,
    { field: name },
  );
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
      `"${name}" must be a whole number from ${range.min} to ${range.max}.`,
      { field: name },
    );
  }
  return value;
}

const NUMBER = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i;

/** Converts text from a path into a value of the field's kind; other text is refused as text. */
function fromText(kind: string | undefined, text: string): unknown {
  if ((kind === "int" || kind === "float") && NUMBER.test(text)) return Number(text);
  if (kind === "bool") return text === "true" ? true : text === "false" ? false : text;
  return text;
}

function notFound(context: RequestContext): PylonError {
  return new PylonError(
    "NOT_FOUND",
    `No ${context.param("entity")} has the id "${context.param("id").slice(0, 80)}".`,
  );
}
