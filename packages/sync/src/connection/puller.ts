import {
  isPullResponse,
  type ChangeEvent,
  type PullResponse,
  type ReplicaSchemaMessage,
} from "@pylonsync/protocol";
import { parseAnswer } from "./answer.ts";
import type { HttpClient } from "./http.ts";

const PAGE = 1000;

/** A full replica, with its position in the change log. */
export interface Snapshot {
  readonly events: readonly ChangeEvent[];
  readonly seq: number;
  readonly epoch: string | null;
  /** Undefined for a server that does not send it. */
  readonly schema: ReplicaSchemaMessage | undefined;
}

/** Loads a snapshot of all rows that the caller may read, page by page. @throws PylonClientError */
export async function pullSnapshot(http: HttpClient): Promise<Snapshot> {
  const events: ChangeEvent[] = [];
  let page: string | undefined;
  let schema: ReplicaSchemaMessage | undefined;
  for (;;) {
    const query = new URLSearchParams({
      since: "0",
      limit: String(PAGE),
      ...(page === undefined ? {} : { page }),
    });
    const answer = await pull(http, query);
    for (const event of answer.changes) events.push(event);
    schema ??= answer.schema;
    page = answer.next_page;
    if (page === undefined)
      return { events, seq: answer.cursor.last_seq, epoch: answer.epoch ?? null, schema };
  }
}

/**
 * Returns the changes after `seq`, the oldest first.
 *
 * @throws PylonClientError RESYNC_REQUIRED if they are no longer available
 */
export async function pullSince(
  http: HttpClient,
  seq: number,
  epoch: string | null,
): Promise<PullResponse> {
  return pull(
    http,
    new URLSearchParams({ since: String(seq), ...(epoch === null ? {} : { epoch }) }),
  );
}

async function pull(http: HttpClient, query: URLSearchParams): Promise<PullResponse> {
  return parseAnswer(
    isPullResponse,
    await http.request("GET", `/api/sync/pull?${query.toString()}`),
  );
}
