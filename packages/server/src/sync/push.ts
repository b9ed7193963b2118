import {
  PylonError,
  PushRequestSchema,
  type ClientChange,
  type PushRequest,
  type PushResponse,
  type PushResult,
} from "@pylonsync/protocol";
import * as v from "valibot";
import type { Caller } from "../data/caller.ts";
import type { Committer } from "../data/commit.ts";
import type { Writer } from "../data/writer.ts";
import { toPublicError } from "../request/responses.ts";
import { malformed } from "../schema/malformed.ts";
import type { Store } from "../store/store.ts";

const PUSH_HINT =
  'Send {"changes": [{"entity": "Todo", "row_id": "...", "kind": "insert", "data": {...}}]}; kind is insert, update or delete.';
/** Changes in a transaction: one that is open for long meets others. */
const CHUNK = 100;

/** @throws PylonError INVALID_DATA naming the first key that is wrong */
export function parsePush(body: unknown): PushRequest {
  const parsed = v.safeParse(PushRequestSchema, body);
  if (parsed.success) return parsed.output;
  const { field, message } = malformed(parsed.issues[0]);
  throw new PylonError("INVALID_DATA", `The push is malformed: ${message}.`, {
    field: field === "" ? "changes" : field,
    hint: PUSH_HINT,
  });
}

/**
 * Applies a client's changes under its policies, in order, many in one transaction; a refused
 * change leaves nothing. A change with an
 * `op_id` that was applied before is not applied again.
 *
 * @param onResult told what became of each change
 * @throws a fault of ours; the client tries again, and what was applied before the fault is known
 *   by its op_id
 */
export async function push(
  request: PushRequest,
  caller: Caller,
  services: { readonly committer: Committer; readonly store: Store },
  onResult: (status: PushResult["status"]) => void,
): Promise<PushResponse> {
  const results: PushResult[] = [];
  // An older client matches results by position: it is told nothing of what comes after the first
  // refusal.
  const groups =
    request.results === true
      ? chunksOf(request.changes, CHUNK)
      : request.changes.map((change) => [change]);
  for (const group of groups) {
    const done = await applyGroup(group, caller, services.committer);
    for (const { status } of done) onResult(status);
    results.push(...done);
    if (request.results !== true && results.at(-1)?.status === "refused") break;
  }
  const errors = results.flatMap((result, index) =>
    result.error === undefined ? [] : [describe(request.changes[index], result.error.message)],
  );
  const { head } = await services.store.bounds();
  return {
    applied: results.length - errors.length,
    deduped: results.filter(({ status }) => status === "deduped").length,
    errors,
    cursor: { last_seq: head },
    ...(request.results === true ? { results } : {}),
  };
}

async function applyGroup(
  changes: readonly ClientChange[],
  caller: Caller,
  committer: Committer,
): Promise<PushResult[]> {
  const outcomes = await committer.commitEach(
    changes.map((change) => ({
      options: {
        caller,
        rowsOf: [change.entity],
        op: change.op_id === undefined ? undefined : { id: change.op_id, purpose: "push" },
      },
      work: (writer: Writer) => write(writer, change),
    })),
  );
  return outcomes.map((outcome, index) => {
    const opId = changes[index]?.op_id;
    const named = opId === undefined ? {} : { op_id: opId };
    if ("error" in outcome) return { ...named, status: "refused", error: refusalOf(outcome.error) };
    const { result, replayed } = outcome.committed;
    return { ...named, status: replayed ? "deduped" : "applied", id: result };
  });
}

function chunksOf<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}

function refusalOf(error: unknown): NonNullable<PushResult["error"]> {
  const refusal = toPublicError(error);
  if (refusal === undefined || refusal.status >= 500) throw refusal ?? error;
  const { code, message, hint, field } = refusal;
  return {
    code,
    message,
    ...(hint === undefined ? {} : { hint }),
    ...(field === undefined ? {} : { field }),
  };
}

function describe(change: ClientChange | undefined, message: string): string {
  if (change === undefined) return message;
  return `${change.kind} ${change.entity}${change.kind === "insert" ? "" : `/${change.row_id}`}: ${message}`;
}

/** @returns the row's id */
async function write(writer: Writer, change: ClientChange): Promise<string> {
  if (change.kind === "delete") {
    // A row that is gone already is what the client wanted.
    await writer.delete(change.entity, change.row_id);
    return change.row_id;
  }
  const { id: _rowId, ...data } = change.data ?? {};
  if (change.kind === "insert") return writer.insert(change.entity, data, change.row_id);
  if (await writer.update(change.entity, change.row_id, data)) return change.row_id;
  throw new PylonError(
    "NOT_FOUND",
    `No ${change.entity} has the id "${change.row_id.slice(0, 80)}".`,
    { hint: "It was deleted, or you may not see it." },
  );
}
