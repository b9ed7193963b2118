import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../request/context.ts";
import { json, toPublicError, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { operationOf } from "./idempotency.ts";
import { OperationRun, type Applied } from "./operation-run.ts";
import { parseOperations, type Operation } from "./operations.ts";
import type { DataServices } from "./routes.ts";
import type { Writer } from "./writer.ts";
import { isRecord } from "../util/is-record.ts";

interface OperationResult {
  readonly op: string;
  readonly id?: string | undefined;
  /** For an upsert: whether the row was inserted. */
  readonly created?: boolean | undefined;
  readonly ok: boolean;
  readonly error?: { readonly code: string; readonly message: string; readonly field?: string };
}

/** Many writes at once: batches and transactions. */
export function bulkRoutes(services: DataServices): Route[] {
  const { committer, model } = services;

  /** Applies each operation independently. */
  const batch = async (context: RequestContext): Promise<Answer> => {
    const body = await context.json();
    const operations = parseOperations(isRecord(body) ? body["operations"] : undefined);
    const op = operationOf(context.request.headers, "batch", operations);
    const { result: results } = await committer.commit({ caller: context.caller, op }, (writer) =>
      applyEach(operations, writer, new OperationRun(writer, model())),
    );
    const succeeded = results.filter(({ ok }) => ok).length;
    return json({ results, succeeded, failed: results.length - succeeded });
  };

  /** Applies all operations or none. */
  const transact = async (context: RequestContext): Promise<Answer> => {
    const operations = parseOperations(await context.json());
    const op = operationOf(context.request.headers, "transact", operations);
    try {
      const { result: results } = await committer.commit({ caller: context.caller, op }, (writer) =>
        applyAll(operations, new OperationRun(writer, model())),
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

/** One of several operations was rejected, so all of them are rolled back. */
class OperationRefused extends PylonError {
  readonly results: readonly OperationResult[];

  /** @param results the results of the operations before it, and its own */
  constructor(refusal: PylonError, results: readonly OperationResult[]) {
    super(refusal.code, refusal.message);
    this.results = results;
  }
}

/** Applies each operation; the rejected ones are rolled back individually. */
async function applyEach(
  operations: readonly Operation[],
  writer: Writer,
  run: OperationRun,
): Promise<OperationResult[]> {
  const results: OperationResult[] = [];
  for (const operation of operations) {
    const work = writer.transaction.attempt(() => run.apply(operation));
    results.push(await outcomeOf(operation, work));
  }
  return results;
}

/** @throws OperationRefused */
async function applyAll(
  operations: readonly Operation[],
  run: OperationRun,
): Promise<OperationResult[]> {
  const results: OperationResult[] = [];
  for (const operation of operations) {
    try {
      results.push(applied(operation, await run.apply(operation)));
    } catch (error) {
      const refusal = toPublicError(error);
      if (refusal === undefined || refusal.status >= 500) throw error;
      throw new OperationRefused(refusal, [...results, refused(operation, refusal)]);
    }
  }
  return results;
}

/** @throws the error of the work if it is not a rejection */
async function outcomeOf(operation: Operation, work: Promise<Applied>): Promise<OperationResult> {
  try {
    return applied(operation, await work);
  } catch (error) {
    const refusal = toPublicError(error);
    if (refusal === undefined || refusal.status >= 500) throw error;
    return refused(operation, refusal);
  }
}

function applied({ op }: Operation, { id, created }: Applied): OperationResult {
  return { op, id, ok: true, ...(created === undefined ? {} : { created }) };
}

function refused(
  { op, id: named }: Operation,
  { code, message, field }: PylonError,
): OperationResult {
  const error = { code, message, ...(field === undefined ? {} : { field }) };
  const id = typeof named === "string" ? named : undefined;
  return { op, ...(id === undefined ? {} : { id }), ok: false, error };
}
