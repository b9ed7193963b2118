import { MAX_PUSH_CHANGES, PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../request/context.ts";
import { json, toPublicError, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import type { PieceOutcome } from "./commit.ts";
import type { DataServices } from "./routes.ts";
import type { Writer } from "./writer.ts";

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

/** Many writes at once: batches and transactions. */
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

  return [
    { method: "POST", path: "/api/batch", body: "rows", access: "admin", handle: batch },
    {
      method: "POST",
      path: "/api/transact",
      body: "rows",
      access: "anyone",
      scope: "write",
      handle: transact,
    },
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
