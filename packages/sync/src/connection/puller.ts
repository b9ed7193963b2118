import {
  PullResponseSchema,
  type ChangeEvent,
  type PullResponse,
  type ReplicaSchemaMessage,
} from "@pylonsync/protocol";
import { parseAnswer } from "./answer.ts";
import type { HttpClient } from "./http.ts";

const PAGE = 1000;

/** A whole replica, with the place in the log from which to go on. */
export interface Snapshot {
  readonly events: readonly ChangeEvent[];
  readonly seq: number;
  readonly epoch: string | null;
  /** Undefined for a server that does not tell. */
  readonly schema: ReplicaSchemaMessage | undefined;
}

/** Takes a snapshot of all that the caller may read, page by page. @throws PylonClientError */
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
 * What happened after `seq`, oldest first.
 *
 * @throws PylonClientError with the code RESYNC_REQUIRED when it can't be told
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
    PullResponseSchema,
    await http.request("GET", `/api/sync/pull?${query.toString()}`),
  );
}
