import { isRowId, MAX_DOCUMENT_SUBSCRIPTIONS } from "@pylonsync/protocol";
import type { MessageRefusal, Subscriber } from "../connections/subscriber.ts";
import { coversKeyScope } from "../identity/key-scope.ts";
import type { Platform } from "../platform.ts";
import type { ChangeRecord, Store } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import { isRecord } from "../util/is-record.ts";
import { DocumentGroup, type DocumentName } from "./document-group.ts";
import { DocumentReader } from "./document-reader.ts";
import type { Documents } from "./documents.ts";

/** The dependencies of the feed of documents. */
export interface DocumentFeedOptions {
  readonly store: Store;
  readonly documents: Documents;
  readonly onError: (error: unknown) => void;
  readonly platform: Pick<Platform, "after">;
}

/** The documents to which a socket is subscribed, by their key. */
interface OpenDocuments {
  readonly reader: DocumentReader;
  readonly groups: Map<string, DocumentGroup>;
}

/** A message about a subscription. */
interface Request {
  readonly isSubscribe: boolean;
  /** Whether the client is told that the document has arrived as a whole. */
  readonly wantsReady: boolean;
  readonly entity: string;
  readonly rowId: string;
}

const TOO_MANY: MessageRefusal = {
  code: "SUBSCRIPTION_LIMIT_REACHED",
  message: `A socket may be subscribed to at most ${MAX_DOCUMENT_SUBSCRIPTIONS} documents.`,
  hint: "Unsubscribe from documents that are no longer shown.",
};

/**
 * The sockets that are subscribed to documents. A change of a document is in the change log, so
 * each replica learns of it from its feed, and sends it to those that may read the row as it is
 * then.
 */
export class DocumentFeed {
  readonly #options: DocumentFeedOptions;
  readonly #readers = new Map<Subscriber, OpenDocuments>();
  readonly #groups = new Map<string, DocumentGroup>();
  /** Several groups share a document if clients use an earlier name of its entity. */
  readonly #byDocument = new Map<string, Set<DocumentGroup>>();

  constructor(options: DocumentFeedOptions) {
    this.#options = options;
  }

  /**
   * Handles a message of a client. A request for a document that does not exist, or that the caller
   * may not read, is not answered.
   *
   * @returns undefined if it is about something else; otherwise the reason for a rejection, or null
   */
  receive(subscriber: Subscriber, text: string): MessageRefusal | null | undefined {
    const request = text.includes('"crdt-') ? parsed(text) : null;
    if (request === null) return undefined;
    if (subscriber.transport !== "websocket" || !subscriber.isOpen) return null;
    const key = `${request.entity}/${request.rowId}`;
    if (!request.isSubscribe) {
      this.#remove(subscriber, key);
      return null;
    }
    const open = this.#readers.get(subscriber) ?? {
      reader: new DocumentReader(subscriber),
      groups: new Map<string, DocumentGroup>(),
    };
    if (!open.groups.has(key) && open.groups.size >= MAX_DOCUMENT_SUBSCRIPTIONS) return TOO_MANY;
    const entity = this.#options.documents.find(request.entity)?.name;
    const mayRead = entity !== undefined && isRowId(request.rowId) && hasScope(subscriber, entity);
    if (!mayRead) return null;
    const group = this.#groupOf(key, { ...request, name: request.entity, entity });
    this.#readers.set(subscriber, open);
    open.groups.set(key, group);
    group.join(open.reader, request.wantsReady);
    return null;
  }

  /** Called for each change of the log. */
  onChange({ entity, rowId, kind }: ChangeRecord): void {
    if (entity !== SYSTEM_TABLES.documents.name) return;
    for (const group of this.#byDocument.get(rowId) ?? []) group.changed();
    if (kind === "delete") this.#byDocument.delete(rowId);
  }

  /** The connection was closed, or must not receive anything further. */
  leave(subscriber: Subscriber): void {
    for (const key of [...(this.#readers.get(subscriber)?.groups.keys() ?? [])])
      this.#remove(subscriber, key);
  }

  #groupOf(key: string, name: DocumentName): DocumentGroup {
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const { documents, store, onError, platform } = this.#options;
    const group: DocumentGroup = new DocumentGroup(name, {
      store,
      documents,
      onError,
      later: (ms, work) => void platform.after(ms, work).unref(),
      onDocument: (id) => this.#follow(id, key, group),
      onLeft: ({ subscriber }) => this.#remove(subscriber, key),
    });
    this.#groups.set(key, group);
    return group;
  }

  #follow(id: string, key: string, group: DocumentGroup): void {
    if (this.#groups.get(key) !== group) return;
    this.#byDocument.set(id, (this.#byDocument.get(id) ?? new Set()).add(group));
  }

  #remove(subscriber: Subscriber, key: string): void {
    const open = this.#readers.get(subscriber);
    const group = open?.groups.get(key);
    if (open === undefined || group === undefined) return;
    open.groups.delete(key);
    if (open.groups.size === 0) this.#readers.delete(subscriber);
    group.leave(open.reader);
    if (group.size > 0) return;
    this.#groups.delete(key);
    const { documentId: id } = group;
    const sharing = id === null ? undefined : this.#byDocument.get(id);
    if (id === null || sharing === undefined) return;
    sharing.delete(group);
    if (sharing.size === 0) this.#byDocument.delete(id);
  }
}

function hasScope({ caller }: Subscriber, entity: string): boolean {
  return coversKeyScope(caller, "read", `entities:${entity}:read`);
}

function parsed(text: string): Request | null {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(message)) return null;
  const { type, entity, rowId = message["row_id"] } = message;
  if (type !== "crdt-subscribe" && type !== "crdt-unsubscribe") return null;
  return {
    isSubscribe: type === "crdt-subscribe",
    wantsReady: message["ready"] === true,
    entity: typeof entity === "string" ? entity : "",
    rowId: typeof rowId === "string" ? rowId : "",
  };
}
