import type { MutationError } from "../connection/errors.ts";
import { socketUrl } from "../connection/url.ts";
import type { EngineParts } from "../engine/engine-parts.ts";
import type { KeptDocumentPart } from "../persistence/disk.ts";
import { browserTabs } from "../platform/browser-tabs.ts";
import { Emitter } from "../platform/emitter.ts";
import { isSame, type ResolvedSession } from "../session/session.ts";
import { DocumentChannel } from "./document-channel.ts";
import { DocumentClient, nameOfDocument, type DocumentKey } from "./document-client.ts";
import { DocumentPolls } from "./document-polls.ts";
import { DocumentTabs } from "./document-tabs.ts";
import { DocumentParts, type DocumentPart } from "./document-parts.ts";
import { DocumentSender, type DocumentChanges, type DocumentUpdate } from "./document-sender.ts";

/** How long the connection stays open without a document, in milliseconds. */
const LINGER_MS = 5_000;

/**
 * The documents of an engine, as bytes: subscriptions, unsent changes and their storage. It is
 * loaded on demand, and does not contain the library that merges them: see `@pylonsync/loro`.
 *
 * They have their own connection, as live functions do, so that each tab receives only the frames
 * of the documents that it shows.
 */
export class Documents {
  readonly #options: EngineParts;
  readonly #parts: DocumentParts;
  readonly #client: DocumentClient;
  readonly #sender: DocumentSender;
  readonly #channel: DocumentChannel;
  readonly #polls: DocumentPolls;
  #hasSocket = true;
  /** Null on a platform without tabs. */
  readonly #tabs: DocumentTabs | null;
  readonly #reset = new Emitter<void>();
  readonly #opened = new Emitter<void>();
  readonly #ready = new Emitter<DocumentKey>();
  readonly #loaded = new Emitter<void>();
  #isStarted = false;
  #cancelClose: () => void = () => undefined;
  /** The session of the documents; null until it is known. */
  #session: ResolvedSession | null = null;

  /**
   * @param frames where received frames are emitted
   * @param onPending called when `pending` may have changed
   */
  constructor(parts: EngineParts, frames: Emitter<Uint8Array>, onPending: () => void) {
    const { config, session, platform } = parts;
    const { appName = "default", baseUrl, wsUrl = socketUrl(baseUrl) } = config;
    const { reconnectDelay = 1000 } = config;
    this.#options = parts;
    const onSaved = (): void => this.#tabs?.stored();
    this.#parts = new DocumentParts({ ...parts, onChange: onPending, onSaved });
    const onReady = (key: DocumentKey): void => this.#ready.emit(key);
    this.#client = new DocumentClient(() => this.#opened.emit());
    const { tabs = browserTabs() } = platform;
    this.#tabs =
      tabs === null
        ? null
        : new DocumentTabs({
            tabs,
            tabId: parts.tabId,
            channel: `pylon:documents:${appName}:${baseUrl}`,
            claim: async (tab) => {
              await this.#parts.claim(tab);
              await this.load();
            },
            onStored: () => void this.#parts.load().then(() => this.#watchTabs()),
          });
    const connecting = { ...parts, socketUrl: wsUrl, reconnectDelay };
    this.#polls = new DocumentPolls({ ...parts, frames, onReady });
    this.#channel = new DocumentChannel(this.#client, connecting, {
      onBytes: (bytes) => frames.emit(bytes),
      onReady,
      onResult: (works) => {
        this.#hasSocket = works;
        this.#poll();
      },
    });
    this.#sender = new DocumentSender({
      ...parts,
      retryDelay: reconnectDelay,
      canSend: () => typeof session.userId === "string" || this.#isAdmin,
      prepare: () => session.revalidate(),
    });
    session.onConfirmed((confirmed) => this.#follow(confirmed));
    // The session may be known from the disk.
    session.onChange((resolved) => this.#follow(resolved));
    if (session.isKnown) this.#follow(session.resolved);
    parts.events.on(({ type }) => {
      if (type === "online") this.retryNow();
      else if (type === "drop") this.reset();
    });
  }

  /** The number of rows with changes that the server does not have, also of other tabs. */
  get pending(): number {
    return this.#parts.rows;
  }

  get #isAdmin(): boolean {
    const { isKnown, resolved } = this.#options.session;
    return isKnown && resolved.isAdmin;
  }

  start(): void {
    this.#isStarted = true;
    this.#tabs?.start();
    this.#sender.start();
    this.retryNow();
    void this.load();
  }

  /** Closes the connection and stops all timers. Unsent changes stay. */
  stop(): void {
    this.#isStarted = false;
    this.#tabs?.stop();
    this.#sender.stop();
    this.#disconnect();
  }

  /** Retries, because the network may be back. */
  retryNow(): void {
    if (!this.#isStarted) return;
    if (this.#client.isNeeded) this.#channel.connect();
    this.#poll();
    this.#sender.flush();
  }

  /** The user may have changed: everything is loaded again. Unsent changes wait for their user. */
  reset(): void {
    this.#disconnect();
    this.#sender.reset();
    this.#reset.emit();
    this.retryNow();
  }

  /** The user has signed out of this browser: unsent changes are deleted. */
  forget(): void {
    this.#parts.clear();
  }

  /** Subscribes to a document. Calls are counted. */
  subscribe(key: DocumentKey): void {
    this.#cancelClose();
    this.#client.subscribe(key);
    this.#poll();
    this.retryNow();
  }

  /** Ends one subscription. */
  unsubscribe(key: DocumentKey): void {
    this.#client.unsubscribe(key);
    this.#poll();
    if (!this.#client.has(key)) this.#sender.remove(nameOfDocument(key));
    if (this.#client.isNeeded) return;
    this.#cancelClose();
    this.#cancelClose = this.#options.platform.after(LINGER_MS, () => this.#channel.disconnect());
  }

  /** Requests a document that is subscribed to again. */
  ask(key: DocumentKey): void {
    this.#client.ask(key);
    this.#polls.ask(key);
  }

  /** Sends the changes of a document, now or as soon as possible. */
  send(key: DocumentKey, changes: DocumentChanges): void {
    this.#sender.add(nameOfDocument(key), key, changes);
  }

  /** Calls the listener when documents start again. @returns an unsubscribe function */
  onReset(listener: () => void): () => void {
    return this.#reset.on(listener);
  }

  /** Calls the listener when a connection has opened. @returns an unsubscribe function */
  onOpened(listener: () => void): () => void {
    return this.#opened.on(listener);
  }

  /**
   * Calls the listener when a document that was requested has arrived as a whole. A server of an
   * earlier version does not tell.
   *
   * @returns an unsubscribe function
   */
  onReady(listener: (key: DocumentKey) => void): () => void {
    return this.#ready.on(listener);
  }

  /** Calls the listener when stored changes have been loaded. @returns an unsubscribe function */
  onLoaded(listener: () => void): () => void {
    return this.#loaded.on(listener);
  }

  /** Returns the stored changes of a document, of this tab and, as of the last load, of others. */
  stored({ entity, rowId }: DocumentKey): readonly KeptDocumentPart[] {
    return this.#parts.all().filter(
      (part) =>
        part.entity === entity &&
        part.rowId === rowId &&
        // A draft can't be merged twice: its tab merges it, until it is closed.
        (part.kind !== "draft" || part.tab === this.#options.tabId || this.#tabs === null),
    );
  }

  /**
   * Loads the stored changes, and sends them, whether or not the page shows their documents. Never
   * fails.
   */
  async load(): Promise<void> {
    await this.#parts.load();
    this.#parts.takeOver();
    this.#watchTabs();
    this.#loaded.emit();
    if (!this.#isStarted || !this.#options.session.isKnown) return;
    for (const part of this.#parts.all())
      // A document that is shown sends its stored changes itself.
      if (part.kind === "changes" && !this.#client.has(part)) this.#sendStored(part);
  }

  /** Whether a part still exists, as of the last load. */
  has(id: string): boolean {
    return this.#parts.has(id);
  }

  /** Stores a part of a document in place of others. @returns its id */
  store(part: DocumentPart, replaced: readonly string[]): string {
    return this.#parts.put(part, replaced);
  }

  /** Removes stored parts that the server has, or has rejected. */
  drop(ids: readonly string[]): void {
    this.#parts.remove(ids);
  }

  /** What other tabs do not send before they are closed is sent by this one. */
  #watchTabs(): void {
    if (this.#isStarted) for (const { tab } of this.#parts.all()) this.#tabs?.watch(tab);
  }

  /** Without a socket, documents are read by requests. */
  #poll(): void {
    this.#polls.show(this.#isStarted && !this.#hasSocket ? this.#client.keys : []);
  }

  #disconnect(): void {
    this.#cancelClose();
    this.#polls.show([]);
    this.#channel.disconnect();
  }

  #follow(session: ResolvedSession): void {
    const isOther = this.#session !== null && !isSame(this.#session, session);
    this.#session = session;
    this.#parts.takeOver();
    if (isOther) this.reset();
    void this.load();
  }

  #sendStored({ id, entity, rowId, bytes }: KeptDocumentPart): void {
    const isOfRow = (part: DocumentKey): boolean => part.entity === entity && part.rowId === rowId;
    // The page that shows the document next can merge them in another way, or split them.
    let isLeftToPage = false;
    const sent = (): void => this.#parts.remove([id]);
    const refused = (error: MutationError): void => {
      isLeftToPage = error.code === "CRDT_APPLY_FAILED";
      if (isLeftToPage) return;
      // Later changes build on it.
      const parts = this.#parts.all().filter((part) => isOfRow(part) && part.kind !== "draft");
      this.#parts.remove(parts.map((part) => part.id));
      this.#options.queue.refuse(error);
    };
    const take = (maxBytes: number): DocumentUpdate | null => {
      isLeftToPage ||= bytes.length > maxBytes;
      return isLeftToPage || !this.#parts.has(id) ? null : { bytes, sent, refused };
    };
    this.#sender.add(id, { entity, rowId }, { take });
  }
}
