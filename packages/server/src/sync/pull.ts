import {
  isRowId,
  MAX_PAGE_BYTES,
  PylonError,
  type ChangeEvent,
  type PullResponse,
} from "@pylonsync/protocol";
import { and, TRUE } from "@pylonsync/query";
import type { Caller, Identity } from "../identity/identity.ts";
import type { DataModel } from "../data/model.ts";
import { idAfter } from "../data/reads.ts";
import { isFull, rowSize } from "../store/row-size.ts";
import type { Reader, Store } from "../store/store.ts";
import { CatchUp } from "./catch-up.ts";
import { isBoundToCaller, isSameEpoch, replicaEpoch } from "./replica-epoch.ts";
import { replicaSchema } from "./replica-schema.ts";
import { endsUnboundCursors } from "./unbound-cursors.ts";
import { Visibility } from "./visibility.ts";
import { insertEvent } from "./wire.ts";

/** The maximum number of changes in one response to a client that continues. */
const LOG_PAGE = 500;
/** The number of rows read from the store at a time. */
const CHUNK = 500;

/** A client's request for the changes that it lacks. */
export interface PullRequest {
  readonly since: number;
  readonly epoch: string | null;
  /** The maximum number of rows in a response, which MAX_PAGE_BYTES may reduce. */
  readonly limit: number;
  /** The next page of the snapshot, from the previous response. */
  readonly page: string | null;
}

interface Position {
  /** The head of the log when the snapshot was started. */
  readonly seq: number;
  readonly entity: string;
  readonly afterId: string | null;
}

/** Handles `GET /api/sync/pull`. */
export class Puller {
  readonly #store: Pick<Store, "bounds" | "changes" | "settle">;
  readonly #reader: Reader;
  readonly #model: DataModel;
  readonly #now: () => number;

  /** @param reader reads on behalf of the client that pulls */
  constructor(
    store: Pick<Store, "bounds" | "changes" | "settle">,
    reader: Reader,
    model: DataModel,
    now: () => number,
  ) {
    this.#store = store;
    this.#reader = reader;
    this.#model = model;
    this.#now = now;
  }

  /** @throws PylonError RESYNC_REQUIRED, INVALID_QUERY */
  async pull(request: PullRequest, identity: Identity): Promise<PullResponse> {
    return request.since === 0
      ? this.#snapshot(request, identity.caller)
      : this.#continue(request, identity);
  }

  /**
   * Returns the whole snapshot in one response, for clients without paging. Only the part that its
   * reader is about to receive is in memory.
   *
   * @returns the response, or its text in chunks if it takes more than a page
   * @throws PylonError as `pull`
   */
  async wholeSnapshot(
    request: Omit<PullRequest, "limit">,
    caller: Caller,
  ): Promise<PullResponse | AsyncGenerator<string>> {
    const first = await this.#snapshot({ ...request, limit: CHUNK }, caller);
    return first.next_page === undefined ? first : this.#inPieces(first, request, caller);
  }

  async *#inPieces(
    first: PullResponse,
    request: Omit<PullRequest, "limit">,
    caller: Caller,
  ): AsyncGenerator<string> {
    let page = first;
    yield `{"changes":[${listed(page.changes)}`;
    while (page.next_page !== undefined) {
      page = await this.#snapshot({ ...request, limit: CHUNK, page: page.next_page }, caller);
      if (page.changes.length > 0) yield `,${listed(page.changes)}`;
    }
    // The parts that only the first page has, in the order of a response without paging.
    const { changes: _sent, next_page: _none, ...rest } = { ...first, ...page };
    yield `],${JSON.stringify(rest).slice(1)}`;
  }

  /**
   * Rows are read after the head, so changes in between may be in the snapshot, and are in the log
   * after it. A client that continues from this head receives each of those rows in a later state
   * (see CatchUp), so that no row goes back in time.
   */
  async #snapshot({ limit, page }: PullRequest, caller: Caller): Promise<PullResponse> {
    const bounds = await this.#store.bounds();
    const start = page === null ? null : this.#positionOf(page);
    if (start !== null && (start.seq < bounds.floor || start.seq > bounds.head))
      throw resyncRequired(bounds.floor + 1);
    const seq = start?.seq ?? bounds.head;
    const at = this.#now();
    const changes: ChangeEvent[] = [];
    let position: Position | null = start ?? this.#firstPosition(seq);
    let bytes = MAX_PAGE_BYTES;
    while (position !== null && changes.length < limit && bytes > 0) {
      const size: number = Math.min(CHUNK, limit - changes.length);
      const rows = await this.#reader.select({
        entity: position.entity,
        where: and(
          position.afterId === null ? TRUE : idAfter(position.afterId),
          this.#readable(position.entity, caller),
        ),
        limit: size,
        maxBytes: bytes,
      });
      const { visible } = this.#model.entityFor(position.entity, caller);
      for (const row of rows)
        changes.push(insertEvent(Math.max(seq, 1), position.entity, visible(row), at));
      const last = rows.at(-1);
      position =
        last !== undefined && (rows.length === size || isFull(rows, bytes))
          ? { ...position, afterId: last.id }
          : this.#positionAfter(position);
      for (const row of rows) bytes -= rowSize(row);
    }
    return {
      changes,
      cursor: { last_seq: seq },
      has_more: position === null && (await this.#store.bounds()).head > seq,
      epoch: replicaEpoch(bounds.epoch, this.#model, caller, this.#now()),
      ...(start === null ? { schema: replicaSchema(this.#model, caller, this.#now()) } : {}),
      ...(position === null ? {} : { next_page: encodePage(position) }),
    };
  }

  async #continue({ since, epoch }: PullRequest, identity: Identity): Promise<PullResponse> {
    const { caller } = identity;
    const bounds = await this.#store.bounds();
    if (!isSameEpoch(epoch, bounds.epoch, this.#model, caller, this.#now()))
      throw resyncRequired(bounds.head + 1);
    if (since > bounds.head) throw resyncRequired(bounds.head + 1);
    if (since < bounds.floor) throw resyncRequired(bounds.floor + 1);
    const visibility = new Visibility(this.#reader, this.#model, this.#now);
    const records = await this.#store.changes(since, LOG_PAGE);
    if (records[0] !== undefined && records[0].seq !== since + 1)
      throw resyncRequired(records[0].seq);
    const moved = records.find((record) => visibility.affectsPermissions(record, caller));
    if (moved !== undefined) throw resyncRequired(moved.seq + 1);
    const lastSeq = records.at(-1)?.seq ?? since;
    if (!isBoundToCaller(epoch, bounds.epoch) && endsUnboundCursors(records, identity)) {
      // So that the snapshot that the client loads next has the caller as it is now.
      await this.#store.settle();
      throw resyncRequired(lastSeq + 1);
    }
    const isWhole = lastSeq >= bounds.head;
    const changes = await new CatchUp(this.#reader, this.#model, visibility).events(
      records,
      caller,
      isWhole,
    );
    if (
      isWhole &&
      visibility.looksAtRights &&
      (await this.#permissionsChangedAfter(lastSeq, caller, visibility))
    )
      throw resyncRequired(lastSeq + 1);
    return {
      changes,
      cursor: { last_seq: lastSeq },
      has_more: !isWhole,
      epoch: replicaEpoch(bounds.epoch, this.#model, caller, this.#now()),
    };
  }

  /** The last page was read with the current permissions, which changed after it. */
  async #permissionsChangedAfter(
    lastSeq: number,
    caller: Caller,
    visibility: Visibility,
  ): Promise<boolean> {
    await this.#store.bounds();
    const later = await this.#store.changes(lastSeq, LOG_PAGE);
    return later.some((change) => visibility.affectsPermissions(change, caller));
  }

  /**
   * The token comes from the client and is not trusted: it only specifies where to continue, and
   * the read policy always applies.
   *
   * @throws PylonError INVALID_QUERY
   */
  #positionOf(page: string): Position {
    const position = decodePage(page);
    // The app may have dropped the entity in the meantime.
    if (position !== null && this.#model.schema.find(position.entity) !== undefined)
      return position;
    throw new PylonError("INVALID_QUERY", "Unknown page token.", {
      field: "page",
      hint: "Use next_page of the previous response, or omit it.",
    });
  }

  /** Neither entities that the caller may not read nor hidden fields are named. */
  #readable(entity: string, caller: Caller): ReturnType<DataModel["rules"]["readable"]> {
    return this.#model.rules.readable(entity, caller, new Date(this.#now()).toISOString());
  }

  #firstPosition(seq: number): Position | null {
    const first = this.#model.schema.entities[0];
    return first === undefined ? null : { seq, entity: first.name, afterId: null };
  }

  #positionAfter({ seq, entity }: Position): Position | null {
    const { entities } = this.#model.schema;
    const next = entities[entities.findIndex(({ name }) => name === entity) + 1];
    return next === undefined ? null : { seq, entity: next.name, afterId: null };
  }
}

/** Encodes changes as a part of a JSON array. */
function listed(changes: readonly ChangeEvent[]): string {
  return JSON.stringify(changes).slice(1, -1);
}

/** Decodes a token; null for one that no pull has created. */
function decodePage(page: string): Position | null {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(page, "base64url").toString());
  } catch {
    return null;
  }
  if (!Array.isArray(parts)) return null;
  const [seq, entity, afterId] = parts as unknown[];
  const isPosition =
    Number.isSafeInteger(seq) &&
    typeof entity === "string" &&
    (afterId === null || isRowId(afterId));
  return isPosition ? { seq: seq as number, entity, afterId } : null;
}

function encodePage(position: Position): string {
  return Buffer.from(JSON.stringify([position.seq, position.entity, position.afterId])).toString(
    "base64url",
  );
}

function resyncRequired(oldest: number): PylonError {
  return new PylonError("RESYNC_REQUIRED", "The replica can't continue from this cursor.", {
    hint: "Drop the replica and pull from since=0.",
    extra: { oldest_seq: oldest },
  });
}
