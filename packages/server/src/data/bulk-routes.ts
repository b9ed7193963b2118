import { MAX_PUSH_CHANGES, PylonError } from "@pylonsync/protocol";
import { TRUE } from "@pylonsync/query";
import type { RequestContext } from "../request/context.ts";
import { json, toPublicError, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import type { StoredRow } from "../store/store.ts";
import type { PieceOutcome } from "./commit.ts";
import { idAfter } from "./reads.ts";
import type { DataServices } from "./routes.ts";
import type { Writer } from "./writer.ts";

const CHUNK = 1000;

interface Operation {
  readonly op: "insert" | "update" | "delete";
  readonly entity: string;
  readonly id?: string | undefined;
  readonly data?: unknown;
}

interface OperationResult {
  readonly op: string;
  readonly id: string | undefined;
  readonly ok: boolean;
  readonly error?: { readonly code: string; readonly message: string };
}

/** Many rows at once: batches, transactions, export and import. */
export function bulkRoutes(services: DataServices): Route[] {
  const { committer } = services;

  /** Each operation on its own. */
  const batch = async (context: RequestContext): Promise<Answer> => {
    const body = (await context.json()) as { operations?: unknown } | null;
    const operations = parseOperations(body?.operations);
    const outcomes = await committer.commitEach(
      operations.map((operation) => ({
        options: { caller: context.caller },
        work: apply(operation),
      })),
    );
    const results = outcomes.map((outcome, index) => resultOf(operations[index], outcome));
    const succeeded = results.filter(({ ok }) => ok).length;
    return json({ results, succeeded, failed: results.length - succeeded });
  };

  /** All or nothing. */
  const transact = async (context: RequestContext): Promise<Answer> => {
    const operations = parseOperations(await context.json());
    const results: OperationResult[] = [];
    try {
      await committer.commit({ caller: context.caller }, async (writer) => {
        results.length = 0;
        for (const operation of operations) {
          const outcome = await apply(operation)(writer).then(
            (id): PieceOutcome<string> => ({ committed: { result: id, replayed: false } }),
            (error: unknown): PieceOutcome<string> => ({ error }),
          );
          results.push(resultOf(operation, outcome));
          if ("error" in outcome) throw outcome.error;
        }
      });
    } catch (error) {
      if (toPublicError(error) === undefined) throw error;
      return json({ committed: false, results }, 400);
    }
    return json({ committed: true, results });
  };

  const exportRows = async (context: RequestContext): Promise<Answer> => {
    const one = context.params["entity"];
    const names =
      one === undefined
        ? services.model().schema.entities.map(({ name }) => name)
        : [services.model().entity(one).name];
    if (context.request.headers.get("accept")?.includes("application/x-ndjson") === true)
      return ndjson(services, names);
    const entities: [string, StoredRow[]][] = [];
    for (const name of names) entities.push([name, await Array.fromAsync(allRows(services, name))]);
    return json({
      exported_at: new Date(services.platform.now()).toISOString(),
      counts: Object.fromEntries(entities.map(([name, rows]) => [name, rows.length])),
      entities: Object.fromEntries(entities),
    });
  };

  const importRows = async (context: RequestContext): Promise<Answer> => {
    const body = (await context.json()) as { entities?: unknown } | null;
    const entities = body?.entities;
    if (typeof entities !== "object" || entities === null || Array.isArray(entities)) {
      throw new PylonError("MISSING_FIELD", "Name the rows to import.", {
        field: "entities",
        hint: 'Send {"entities": {"Todo": [...]}}.',
      });
    }
    const byEntity: { entity: string; inserted: number; failed: number }[] = [];
    for (const [entity, rows] of Object.entries(entities)) {
      services.model().entity(entity);
      if (!Array.isArray(rows))
        throw new PylonError("INVALID_DATA", `The rows of ${entity} are a list.`, {
          field: `entities.${entity}`,
        });
      const works = rows.map((data: unknown) => ({
        options: { caller: context.caller, rowsOf: [entity] },
        work: apply({ op: "insert", entity, data }),
      }));
      const outcomes = await committer.commitEach(works);
      const failed = outcomes.filter((outcome) => "error" in outcome).length;
      byEntity.push({ entity, inserted: outcomes.length - failed, failed });
    }
    const sum = (key: "inserted" | "failed"): number =>
      byEntity.reduce((total, part) => total + part[key], 0);
    return json({ imported: sum("inserted"), failed: sum("failed"), by_entity: byEntity });
  };

  return [
    { method: "POST", path: "/api/batch", access: "admin", handle: batch },
    { method: "POST", path: "/api/transact", access: "anyone", scope: "write", handle: transact },
    { method: "GET", path: "/api/export", access: "admin", handle: exportRows },
    { method: "GET", path: "/api/export/:entity", access: "admin", handle: exportRows },
    { method: "POST", path: "/api/import", access: "admin", handle: importRows },
  ];
}

/** @returns writes the operation and answers the row's id */
function apply(operation: Operation): (writer: Writer) => Promise<string> {
  return async (writer) => {
    const { op, entity, data } = operation;
    const { id: bodyId, ...fields } =
      typeof data === "object" && data !== null && !Array.isArray(data)
        ? (data as Record<string, unknown>)
        : {};
    const id = operation.id ?? (bodyId as string | undefined);
    if (op === "insert") return writer.insert(entity, fields, id);
    if (id === undefined)
      throw new PylonError("MISSING_FIELD", `The ${op} names no row.`, { field: "id" });
    const found =
      op === "update" ? await writer.update(entity, id, fields) : await writer.delete(entity, id);
    if (!found)
      throw new PylonError("NOT_FOUND", `No ${entity} has the id "${id.slice(0, 80)}".`, {
        field: "id",
      });
    return id;
  };
}

function parseOperations(value: unknown): Operation[] {
  if (!Array.isArray(value))
    throw new PylonError("MISSING_OPERATIONS", "The operations are missing or no list.", {
      field: "operations",
    });
  if (value.length > MAX_PUSH_CHANGES)
    throw new PylonError("INVALID_DATA", `At most ${MAX_PUSH_CHANGES} operations at once.`, {
      field: "operations",
    });
  return value.map((item: unknown, index) => {
    const { op, entity, id, data } = (item ?? {}) as Record<string, unknown>;
    const at = `operations[${index}]`;
    if (op !== "insert" && op !== "update" && op !== "delete") {
      throw new PylonError("INVALID_DATA", '"op" is insert, update or delete.', {
        field: `${at}.op`,
      });
    }
    if (typeof entity !== "string")
      throw new PylonError("MISSING_ENTITY", "The operation names no entity.", {
        field: `${at}.entity`,
      });
    if (id !== undefined && typeof id !== "string")
      throw new PylonError("INVALID_ID", "An id is a string.", { field: `${at}.id` });
    return { op, entity, id, data };
  });
}

function resultOf(
  operation: Operation | undefined,
  outcome: PieceOutcome<string>,
): OperationResult {
  const op = operation?.op ?? "insert";
  if (!("error" in outcome)) return { op, id: outcome.committed.result, ok: true };
  const refusal = toPublicError(outcome.error);
  if (refusal === undefined) throw outcome.error;
  return {
    op,
    id: operation?.id,
    ok: false,
    error: { code: refusal.code, message: refusal.message },
  };
}

/** All rows of an entity, by id, without holding them all in memory. */
async function* allRows(services: DataServices, entity: string): AsyncGenerator<StoredRow> {
  let last: string | null = null;
  for (;;) {
    const rows: StoredRow[] = await services.store.select({
      entity,
      where: last === null ? TRUE : idAfter(last),
      limit: CHUNK,
    });
    yield* rows;
    last = rows.at(-1)?.id ?? null;
    if (rows.length < CHUNK) return;
  }
}

function ndjson(services: DataServices, names: readonly string[]): Response {
  const encoder = new TextEncoder();
  async function* lines(): AsyncGenerator<Uint8Array> {
    for (const entity of names) {
      for await (const row of allRows(services, entity))
        yield encoder.encode(`${JSON.stringify({ entity, row })}\n`);
    }
  }
  return new Response(lines() as unknown as BodyInit, {
    headers: { "Content-Type": "application/x-ndjson" },
  });
}
