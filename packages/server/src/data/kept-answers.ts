import { MAX_KEPT_ANSWERS_BYTES } from "@pylonsync/protocol";
import { and, not } from "@pylonsync/query";
import type { Reader, Store } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import { chunk } from "../util/chunk.ts";

const { ops } = SYSTEM_TABLES;

/** Callers are checked while they send requests: longer than the interval between two checks. */
const ACTIVE_MS = 10 * 60_000;

/** The number of responses that are deleted in one transaction. */
const BATCH_SIZE = 500;

/**
 * Deletes the oldest responses of callers whose responses are larger in total than allowed. The
 * keys stay, so that a retry of these requests is not applied again.
 *
 * It is not done in the transaction that stores a response: concurrent writes of one caller would
 * conflict there.
 *
 * @returns the number of deleted responses
 */
export async function dropExcessAnswers(
  store: Pick<Store, "aggregate" | "transact">,
  now: number,
  maxBytes = MAX_KEPT_ANSWERS_BYTES,
): Promise<number> {
  const active = await store.aggregate({
    entity: ops.name,
    where: and(ops.isAbove("at", now - ACTIVE_MS), not(ops.is("subject", null))),
    groupBy: [{ field: "subject", as: "subject" }],
    measures: [],
  });
  let dropped = 0;
  for (const { subject } of active) {
    if (typeof subject !== "string") continue;
    const excess = await excessOf(store, subject, maxBytes);
    for (const ids of chunk(excess, BATCH_SIZE))
      await store.transact(
        async (tx) => {
          for (const id of ids)
            await ops.update(tx, id, { answer: null, subject: null, size: null });
        },
        { isolation: "snapshot" },
      );
    dropped += excess.length;
  }
  return dropped;
}

/** Returns the ids of the oldest responses of a caller, without which the others have room. */
async function excessOf(
  reader: Pick<Reader, "aggregate">,
  subject: string,
  maxBytes: number,
): Promise<string[]> {
  const where = ops.is("subject", subject);
  const bytes = { fn: "sum", field: "size", as: "bytes" } as const;
  const all = { entity: ops.name, where, measures: [bytes] };
  const [total] = await reader.aggregate({ ...all, groupBy: [] });
  if (Number(total?.["bytes"] ?? 0) <= maxBytes) return [];
  // A group for each response: unlike a select, this does not read the responses themselves.
  const answers = await reader.aggregate({
    ...all,
    groupBy: [
      { field: "at", as: "at" },
      { field: "id", as: "id" },
    ],
    order: [
      { field: "at", direction: "desc" },
      { field: "id", direction: "desc" },
    ],
  });
  let kept = 0;
  return answers.flatMap(({ id, bytes: size }) => {
    kept += Number(size);
    return kept > maxBytes && typeof id === "string" ? [id] : [];
  });
}
