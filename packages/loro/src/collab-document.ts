import { liveRow, type LiveRow } from "@pylonsync/sync";
import {
  decodeImportBlobMeta,
  LoroDoc,
  type ContainerID,
  type LoroEventBatch,
  type LoroText,
} from "loro-crdt";
import type {
  DocumentChanges,
  DocumentKey,
  DocumentPart,
  Documents,
  DocumentUpdate,
  MutationError,
  SyncEngine,
} from "@pylonsync/sync";
import { textIn, textsIn } from "./containers.ts";
import { Drafts, type Draft } from "./drafts.ts";
import { EditHistory } from "./edit-history.ts";
import { CRDT_FRAME_SNAPSHOT, type CrdtFrame } from "./frame.ts";
import type { LoroRegistry } from "./registry.ts";
import {
  applyEdit,
  deltaOf,
  editBetween,
  mergeTexts,
  updateText,
  type TextDelta,
  type TextEdit,
} from "./text-edits.ts";
import type { DocumentState } from "./use-loro-doc.ts";
import { Version } from "./versions.ts";

/** The first delay before a document is requested again, in milliseconds; it is doubled. */
const ASK_AGAIN_MS = 500;
const MAX_ASK_AGAIN_MS = 30_000;
/** After this many requests without a document, texts are written as plain values. */
const MAX_ASKS = 5;
/** How long changes are unsent before the text that they change is stored too, in milliseconds. */
const KEEP_BASE_MS = 1_000;

/** Called with each change of the text of a field. */
export type DeltaListener = (field: string, delta: TextDelta) => void;

/**
 * The document of one row while a page shows it. It is the server's state, and over it the changes
 * that the server does not have; these are stored until it has them, and removed if it rejects
 * them.
 *
 * Only the server creates the texts of a document. Until it has sent them, what the user writes is
 * a draft: the text that was shown, and the one that it became. A draft is merged into the document
 * when that arrives.
 */
export class CollabDocument implements DocumentChanges {
  readonly key: DocumentKey;
  readonly #engine: SyncEngine;
  readonly #registry: LoroRegistry;
  readonly #drafts: Drafts;
  /** The row, which is shown until the document has arrived. */
  readonly #row: LiveRow;
  readonly #history = new EditHistory(() => this.doc);
  readonly #stops: (() => void)[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #deltaListeners = new Set<DeltaListener>();
  #state: DocumentState | null = null;
  /** The texts that were shown before the change that is applied. */
  #shown: ReadonlySet<ContainerID> = new Set();
  /** Null until its code is loaded. */
  #documents: Documents | null = null;
  #stopFollowing: () => void = () => undefined;
  /** What the server has, as far as known. */
  #confirmed = new Version();
  /** The stored changes of this tab and others, with the version that includes them. */
  readonly #parts = new Map<string, Version>();
  /** The stored part with the changes of this tab; null if there are none. */
  #changesId: string | null = null;
  #base: { readonly id: string; readonly version: Version } | null = null;
  #asks = 0;
  #cancelAsk: () => void = () => undefined;
  #cancelBase: () => void = () => undefined;
  #isClosed = false;
  /** The server could not merge the changes, which were then sent in another form. */
  #isRetried = false;
  /** A change that this class makes itself is stored and sent once, at its end. */
  #isBusy = false;

  constructor(engine: SyncEngine, registry: LoroRegistry, key: DocumentKey) {
    this.#engine = engine;
    this.#registry = registry;
    this.key = key;
    const changed = (): void => this.#changed();
    this.#drafts = new Drafts(key, () => this.#documents, changed);
    this.#row = liveRow(engine.store, key.entity, key.rowId);
    this.#stops.push(
      registry.subscribe(key.entity, key.rowId, changed),
      this.#row.subscribe(changed),
    );
    this.#follow(this.doc);
    engine.withDocuments((documents) => {
      if (!this.#isClosed) this.#open(documents);
    });
  }

  /** The document; another object after changes had to be removed. */
  get doc(): LoroDoc {
    return this.#registry.doc(this.key.entity, this.key.rowId);
  }

  /** The document, in an object that changes with it. */
  get state(): DocumentState {
    this.#state ??= { doc: this.doc };
    return this.#state;
  }

  /** Returns the text of a field, with unsent changes. */
  text(field: string): string {
    const text = textIn(this.doc, field);
    return text?.toString() ?? this.#drafts.get(field)?.text ?? this.#column(field);
  }

  /** Changes the text of a field to another. */
  setText(field: string, next: string): void {
    const text = textIn(this.doc, field);
    if (text === undefined) this.#draft(field, next);
    else {
      this.#history.begin(field);
      updateText(text, next);
      this.#history.commit(field);
    }
  }

  /** Edits the text of a field at a known place. */
  edit(field: string, edit: TextEdit): void {
    const text = textIn(this.doc, field);
    if (text === undefined) {
      const before = this.text(field);
      const after = before.slice(edit.start + edit.removed);
      this.#draft(field, before.slice(0, edit.start) + edit.inserted + after);
    } else {
      this.#history.begin(field);
      applyEdit(text, edit);
      this.#history.commit(field);
    }
  }

  /**
   * Undoes the last edits of this page in a field, or repeats them.
   *
   * @returns false if the document has not arrived, so that the browser may do it
   */
  undo(field: string, isRedo: boolean): boolean {
    if (textIn(this.doc, field) === undefined) return false;
    if (isRedo) this.#history.redo(field);
    else this.#history.undo(field);
    return true;
  }

  /** Calls the listener after each change. @returns an unsubscribe function */
  onChange(listener: () => void): () => void {
    const own = (): void => listener();
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  /** Calls the listener with each change of a text. @returns an unsubscribe function */
  onDelta(listener: DeltaListener): () => void {
    const own: DeltaListener = (field, delta) => listener(field, delta);
    this.#deltaListeners.add(own);
    return () => this.#deltaListeners.delete(own);
  }

  /** Handles a frame of the server. */
  receive({ type, payload }: CrdtFrame): void {
    const version = versionOf(payload);
    if (version === null || this.#isClosed) return;
    const isOlder = type === CRDT_FRAME_SNAPSHOT && !version.includes(this.#confirmed);
    if (isOlder && this.#isOther(payload)) this.#startOver();
    // Frames were lost in between: a new snapshot contains them.
    if (this.#import(payload)) this.#documents?.ask(this.key);
    else this.#confirmed.add(version);
    this.#keep();
  }

  take(): DocumentUpdate | null {
    if (this.#isClosed) return null;
    const document = this.doc;
    const taken = Version.of(document);
    if (this.#confirmed.includes(taken)) return null;
    // Later the document may be closed or another one: then the response is not about it.
    const isOver = (): boolean => this.#isClosed || this.doc !== document;
    return {
      bytes: this.#changes(),
      sent: () => {
        if (isOver()) return;
        this.#isRetried = false;
        this.#confirmed.add(taken);
        this.#keep();
      },
      refused: (error) => {
        if (!isOver() && this.#retries(error)) return;
        if (!isOver()) this.#replace(this.#confirmedState());
        this.#engine.mutations.refuse(error);
      },
    };
  }

  /** The user may have changed: starts again without any content. Stored changes stay. */
  reset(): void {
    this.#cancelBase();
    this.#parts.clear();
    this.#changesId = null;
    this.#base = null;
    this.#confirmed = new Version();
    this.#drafts.forget();
    this.#swap(new LoroDoc());
    this.#loadParts();
    this.#askSoon();
  }

  /** Ends the subscription. Unsent changes stay stored, and are sent. */
  close(): void {
    this.#isClosed = true;
    this.#cancelAsk();
    this.#cancelBase();
    this.#stopFollowing();
    for (const stop of this.#stops) stop();
    this.#documents?.unsubscribe(this.key);
    void this.#documents?.load();
    this.#registry.evict(this.key.entity, this.key.rowId);
  }

  #open(documents: Documents): void {
    this.#documents = documents;
    this.#stops.push(
      documents.onReset(() => this.reset()),
      documents.onLoaded(() => this.#loadParts()),
      documents.onOpened(() => this.#askSoon()),
    );
    documents.subscribe(this.key);
    // Changes of before are stored and sent from now on.
    this.#drafts.keep();
    this.#keep();
    void documents.load();
    this.#askSoon();
  }

  get #hasTexts(): boolean {
    return textsIn(this.doc).size > 0;
  }

  /** The text as the row contains it. */
  #column(field: string): string {
    const value = this.#row.getSnapshot()?.[field];
    return typeof value === "string" ? value : "";
  }

  #draft(field: string, text: string): void {
    const base = this.#drafts.get(field)?.base ?? this.#column(field);
    this.#drafts.set(field, { base, text });
    this.#askSoon();
  }

  /**
   * Imports the server's state, or changes of it. When the texts arrive, drafts are merged into
   * them, and nothing further is requested.
   *
   * @returns whether the changes that it depends on are missing
   */
  #import(bytes: Uint8Array): boolean {
    const before = textsIn(this.doc);
    const status = this.#quietly(() => {
      const imported = this.doc.import(bytes);
      for (const [field, text] of textsIn(this.doc))
        if (!before.has(field)) this.#arrived(field, text);
      this.doc.commit();
      return imported;
    });
    if (this.#hasTexts) this.#cancelAsk();
    this.#shown = idsIn(this.doc);
    return status.pending !== null;
  }

  #arrived(field: string, text: LoroText): void {
    const shown = this.#drafts.get(field)?.text ?? this.#column(field);
    this.#mergeDrafts(field, text);
    this.#moved(field, shown, text.toString());
  }

  #mergeDrafts(field: string, text: LoroText): void {
    for (const draft of this.#drafts.take(field))
      updateText(text, mergeTexts(draft.base, draft.text, text.toString()));
  }

  /** Asks until the document arrives: its row may not be on the server yet. */
  #askSoon(): void {
    this.#cancelAsk();
    if (this.#hasTexts || this.#isClosed) return;
    const wait = Math.min(MAX_ASK_AGAIN_MS, ASK_AGAIN_MS * 2 ** this.#asks);
    this.#cancelAsk = this.#engine.platform.after(wait, () => {
      const isLive = this.#engine.status.connection === "live";
      if (isLive) this.#asks += 1;
      if (isLive && this.#asks > MAX_ASKS) this.#writeDrafts();
      this.#documents?.ask(this.key);
      this.#askSoon();
    });
  }

  /** There is no document, for example because sockets do not work here: updates the row. */
  #writeDrafts(): void {
    const { entity, rowId } = this.key;
    for (const [field] of this.#drafts.all()) {
      let text = this.#column(field);
      for (const draft of this.#drafts.take(field)) text = mergeTexts(draft.base, draft.text, text);
      // The engine reports a rejected write itself.
      this.#engine.update(entity, rowId, { [field]: text }).catch(() => undefined);
    }
  }

  #follow(document: LoroDoc): void {
    this.#stopFollowing();
    this.#history.reset();
    this.#shown = idsIn(document);
    const stops = [
      document.subscribe((events) => this.#emitDeltas(events)),
      document.subscribeLocalUpdates(() => {
        if (!this.#isBusy) this.#keep();
      }),
    ];
    this.#stopFollowing = () => {
      for (const stop of stops) stop();
    };
  }

  /** Runs a change whose result is stored and sent by the caller. */
  #quietly<T>(work: () => T): T {
    const wasBusy = this.#isBusy;
    this.#isBusy = true;
    try {
      return work();
    } finally {
      this.#isBusy = wasBusy;
    }
  }

  #changes(): Uint8Array {
    return this.doc.export({ mode: "update", from: this.#confirmed.toLoro() });
  }

  /** Stores the changes that the server does not have, and sends them. */
  #keep(): void {
    const documents = this.#documents;
    if (documents === null) return;
    const version = Version.of(this.doc);
    const isSent = this.#confirmed.includes(version);
    const over = [...this.#parts].flatMap(([id, own]) =>
      this.#confirmed.includes(own) ? [id] : [],
    );
    if (isSent) {
      if (this.#changesId !== null) over.push(this.#changesId);
      if (this.#base !== null) over.push(this.#base.id);
      this.#changesId = null;
      this.#base = null;
      this.#cancelBase();
    } else {
      const replaced = this.#changesId === null ? [] : [this.#changesId];
      this.#changesId = documents.store(this.#part("changes", this.#changes()), replaced);
      this.#keepBase(documents);
      documents.send(this.key, this);
    }
    for (const id of over) this.#parts.delete(id);
    if (over.length > 0) documents.drop(over);
  }

  /** Stores the text that the changes are based on, if they stay unsent: a reload shows it. */
  #keepBase(documents: Documents): void {
    if (this.#base?.version.includes(this.#confirmed) === true) return;
    this.#cancelBase();
    this.#cancelBase = this.#engine.platform.after(KEEP_BASE_MS, () => {
      if (this.#confirmed.includes(Version.of(this.doc))) return;
      const version = new Version();
      version.add(this.#confirmed);
      const bytes = this.#confirmedState().export({ mode: "snapshot" });
      const replaced = this.#base === null ? [] : [this.#base.id];
      this.#base = { id: documents.store(this.#part("base", bytes), replaced), version };
    });
  }

  #part(kind: DocumentPart["kind"], bytes: Uint8Array): DocumentPart {
    return { ...this.key, kind, bytes };
  }

  /** Adds the stored changes of earlier visits and other tabs. */
  #loadParts(): void {
    const documents = this.#documents;
    if (documents === null) return;
    for (const { id, kind, bytes } of documents.stored(this.key)) {
      if (this.#parts.has(id) || id === this.#changesId || id === this.#base?.id) continue;
      if (kind === "draft") this.#drafts.found(id, bytes);
      else {
        const version = versionOf(bytes);
        if (version === null) continue;
        this.#parts.set(id, version);
        this.#import(bytes);
        if (kind === "base") this.#confirmed.add(version);
      }
    }
    // Those of a tab that was closed may be found later than the document.
    this.#quietly(() => {
      for (const [field, text] of textsIn(this.doc)) this.#mergeDrafts(field, text);
      this.doc.commit();
    });
    this.#keep();
  }

  /** Returns the document without unsent changes. */
  #confirmedState(): LoroDoc {
    this.doc.commit();
    return this.doc.forkAt(this.doc.vvToFrontiers(this.#confirmed.toLoro()));
  }

  /** Whether a snapshot is that of a new document: the row was deleted, or a backup restored. */
  #isOther(snapshot: Uint8Array): boolean {
    const other = new LoroDoc();
    other.import(snapshot);
    const known = textsIn(this.#confirmedState());
    return [...textsIn(other)].some(([field, { id }]) => {
      const own = known.get(field);
      return own !== undefined && own.id !== id;
    });
  }

  /**
   * The server can't merge the changes, perhaps because its document has another history: tries
   * once to merge them as texts.
   */
  #retries({ code }: MutationError): boolean {
    if (code !== "CRDT_APPLY_FAILED" || this.#isRetried) return false;
    this.#isRetried = true;
    this.#startOver();
    this.#documents?.ask(this.key);
    this.#askSoon();
    return this.#drafts.all().length > 0;
  }

  /** Turns the unsent changes into drafts, for a document with another history. */
  #startOver(): void {
    const before = textsIn(this.#confirmedState());
    for (const [field, text] of textsIn(this.doc)) {
      const draft: Draft = { base: before.get(field)?.toString() ?? "", text: text.toString() };
      if (draft.base !== draft.text) this.#drafts.set(field, draft);
    }
    this.#confirmed = new Version();
    this.#replace(new LoroDoc());
  }

  /** Continues with a document without unsent changes. */
  #replace(document: LoroDoc): void {
    const ids = [...this.#parts.keys()];
    if (this.#changesId !== null) ids.push(this.#changesId);
    if (this.#base !== null) ids.push(this.#base.id);
    this.#parts.clear();
    this.#changesId = null;
    this.#base = null;
    this.#cancelBase();
    if (ids.length > 0) this.#documents?.drop(ids);
    this.#swap(document);
  }

  #swap(document: LoroDoc): void {
    const before = textsIn(this.doc);
    this.#follow(document);
    for (const [field, text] of before)
      this.#moved(field, text.toString(), textIn(document, field)?.toString() ?? "");
    this.#registry.replace(this.key.entity, this.key.rowId, document);
  }

  #changed(): void {
    this.#state = null;
    for (const listener of [...this.#listeners]) listener();
  }

  #emitDeltas({ events }: LoroEventBatch): void {
    const texts = new Map(
      [...textsIn(this.doc)]
        .filter(([, { id }]) => this.#shown.has(id))
        .map(([field, { id }]) => [id, field]),
    );
    for (const { target, diff } of events) {
      const field = texts.get(target);
      if (field !== undefined && diff.type === "text") this.#emitDelta(field, diff.diff);
    }
  }

  #moved(field: string, before: string, after: string): void {
    const edit = editBetween(before, after);
    // A listener expects to be followed by a rendering of another text.
    if (edit !== null) this.#emitDelta(field, deltaOf(edit));
  }

  #emitDelta(field: string, delta: TextDelta): void {
    for (const listener of [...this.#deltaListeners]) listener(field, delta);
  }
}

function idsIn(document: LoroDoc): ReadonlySet<ContainerID> {
  return new Set([...textsIn(document).values()].map(({ id }) => id));
}

/** @returns null for bytes that are not in Loro's format */
function versionOf(bytes: Uint8Array): Version | null {
  try {
    return new Version(decodeImportBlobMeta(bytes, true).partialEndVersionVector.toJSON());
  } catch {
    return null;
  }
}
