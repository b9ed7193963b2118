import { MAX_PUSH_CHANGES, PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../request/context.ts";
import { json, toPublicError, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { operationOf } from "./idempotency.ts";
import type { DataServices } from "./routes.ts";
import { checkedId, splitId } from "../schema/row-input.ts";
import { isRecord } from "../util/is-record.ts";
import type { Writer } from "./writer.ts";

interface Operation {
  readonly op: "insert" | "update" | "delete";
  readonly entity: string;
  readonly id?: string | undefined;
  readonly data?: unknown;
}

interface OperationResult {
  readonly op: string;
  readonly id?: string | undefined;
  readonly ok: boolean;
  readonly error?: { readonly code: string; readonly message: string; readonly field?: string };
}

/** Many writes at once: batches and transactions. */
export function bulkRoutes(services: DataServices): Route[] {
  const { committer } = services;

  /** Each operation on its own. */
  const batch = async (context: RequestContext): Promise<Answer> => {
    const body = await context.json();
    const operations = parseOperations(isRecord(body) ? body["operations"] : undefined);
    const op = operationOf(context.request.headers, "batch", operations);
    const { result: results } = await committer.commit(
      { caller: context.caller, op },
      async (writer) => {
        const done: OperationResult[] = [];
        for (const operation of operations) {
          const work = writer.transaction.attempt(() => apply(operation)(writer));
          done.push(await outcomeOf(operation, work));
        }
        return done;
      },
    );
    const succeeded = results.filter(({ ok }) => ok).length;
    return json({ results, succeeded, failed: results.length - succeeded });
  };

  /** All or nothing. */
  const transact = async (context: RequestContext): Promise<Answer> => {
    const operations = parseOperations(await context.json());
    const op = operationOf(context.request.headers, "transact", operations);
    try {
      const { result: results } = await committer.commit({ caller: context.caller, op }, (writer) =>
        applyAll(operations, writer),
      );
      return json({ committed: true, results });
    } catch (error) {
      if (!(error instanceof OperationRefused)) throw error;
      return json({ committed: false, results: error.results }, 400);
    }
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

/** One of several operations was refused, so none of them is kept. */
class OperationRefused extends PylonError {
  readonly results: readonly OperationResult[];

  /** @param results of the operations before it, and its own */
  constructor(refusal: PylonError, results: readonly OperationResult[]) {
    super(refusal.code, refusal.message);
    this.results = results;
  }
}

/** @throws OperationRefused */
async function applyAll(
  operations: readonly Operation[],
  writer: Writer,
): Promise<OperationResult[]> {
  const results: OperationResult[] = [];
  for (const operation of operations) {
    try {
      results.push(applied(operation, await apply(operation)(writer)));
    } catch (error) {
      const refusal = toPublicError(error);
      if (refusal === undefined || refusal.status >= 500) throw error;
      throw new OperationRefused(refusal, [...results, refused(operation, refusal)]);
    }
  }
  return results;
}

/** @throws what the work throws when it is not a refusal */
async function outcomeOf(operation: Operation, work: Promise<string>): Promise<OperationResult> {
  try {
    return applied(operation, await work);
  } catch (error) {
    const refusal = toPublicError(error);
    if (refusal === undefined || refusal.status >= 500) throw error;
    return refused(operation, refusal);
  }
}

function applied({ op }: Operation, id: string): OperationResult {
  return { op, id, ok: true };
}

function refused({ op, id }: Operation, { code, message, field }: PylonError): OperationResult {
  const error = { code, message, ...(field === undefined ? {} : { field }) };
  return { op, ...(id === undefined ? {} : { id }), ok: false, error };
}

/** @returns writes the operation and answers the row's id */
function apply(operation: Operation): (writer: Writer) => Promise<string> {
  return async (writer) => {
    const { op, entity, data = {} } = operation;
    const { id: bodyId, fields } = splitId(data);
    const id = operation.id ?? bodyId ?? undefined;
    if (op === "insert") return writer.insert(entity, fields, checkedId(id));
    const named = requiredId(op, id);
    const found = await (op === "update"
      ? writer.update(entity, named, data)
      : writer.delete(entity, named));
    if (!found)
      throw new PylonError("NOT_FOUND", `No ${entity.slice(0, 80)} has the id "${named}".`, {
        field: "id",
      });
    return named;
  };
}

function requiredId(op: string, id: unknown): string {
  const checked = checkedId(id);
  if (checked !== undefined) return checked;
  throw new PylonError("MISSING_FIELD", `The ${op} names no row.`, { field: "id" });
}

function parseOperations(value: unknown): Operation[] {
  if (!Array.isArray(value))
    throw new PylonError("MISSING_OPERATIONS", "The operations are missing or not a list.", {
      field: "operations",
    });
  if (value.length > MAX_PUSH_CHANGES)
    throw new PylonError("INVALID_DATA", `At most ${MAX_PUSH_CHANGES} operations at once.`, {
      field: "operations",
    });
  return value.map((item: unknown, index) => {
    const operation: Record<string, unknown> = isRecord(item) ? item : {};
    const { op, entity, id, data } = operation;
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
