import { liveRow, type LiveRow } from "@pylonsync/sync";
import { LoroDoc, type ContainerID, type LoroEventBatch, type LoroText } from "loro-crdt";
import type {
  DocumentChanges,
  DocumentKey,
  Documents,
  DocumentUpdate,
  MutationError,
  SyncEngine,
} from "@pylonsync/sync";
import { textIn, textsIn } from "./containers.ts";
import { ConfirmationCheck } from "./confirmation-check.ts";
import { DocumentRequests } from "./document-requests.ts";
import { Drafts, type Draft } from "./drafts.ts";
import { EditHistory } from "./edit-history.ts";
import { FirstFrames } from "./first-frames.ts";
import {
  CRDT_FRAME_SNAPSHOT,
  MAX_DOCUMENT_UPDATE_BYTES,
  type CrdtFrame,
} from "@pylonsync/protocol";
import type { LoroRegistry } from "./registry.ts";
import { StoredChanges } from "./stored-changes.ts";
import {
  deltaOf,
  editBetween,
  mergeTexts,
  updateText,
  type TextDelta,
  type TextEdit,
} from "./text-edits.ts";
import type { DocumentState } from "./use-loro-doc.ts";
import { updatesAfter } from "./updates.ts";
import { decodeBase, Version } from "./versions.ts";

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
  readonly #stored: StoredChanges;
  readonly #requests: DocumentRequests;
  #isClosed = false;
  /** The server could not merge the changes, which were then sent in another form. */
  #isRetried = false;
  /** Whether the server still has what it has confirmed. */
  readonly #check: ConfirmationCheck;
  readonly #firstFrames: FirstFrames;
  /** Why the changes wait for the server's document. */
  #refusal: MutationError | null = null;
  /** A change that this class makes itself is stored and sent once, at its end. */
  #isBusy = false;

  constructor(engine: SyncEngine, registry: LoroRegistry, key: DocumentKey) {
    this.#engine = engine;
    this.#registry = registry;
    this.key = key;
    const changed = (): void => this.#changed();
    this.#requests = new DocumentRequests({
      after: engine.platform.after,
      isLive: () => engine.status.connection === "live",
      ask: () => this.#documents?.ask(key),
      onMissing: () => this.#writeDrafts(),
    });
    this.#check = new ConfirmationCheck({
      after: engine.platform.after,
      ask: () => this.#documents?.ask(key),
    });
    this.#firstFrames = new FirstFrames(engine.platform.after, (frames) => this.#receive(frames));
    this.#drafts = new Drafts(key, () => this.#documents, changed);
    this.#stored = new StoredChanges({
      key,
      after: engine.platform.after,
      documents: () => this.#documents,
      base: () => ({
        confirmed: this.#confirmed.copy(),
        document: this.doc.export({ mode: "snapshot" }),
      }),
    });
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
    else this.#history.change(field, () => updateText(text, next));
  }

  /** Edits the text of a field at a known place. */
  edit(field: string, edit: TextEdit): void {
    const text = textIn(this.doc, field);
    if (text === undefined) {
      const before = this.text(field);
      const after = before.slice(edit.start + edit.removed);
      this.#draft(field, before.slice(0, edit.start) + edit.inserted + after);
    } else this.#history.edit(field, text, edit);
  }

  /**
   * Undoes the last edits of this page in a field, or repeats them.
   *
   * @returns false if the document has not arrived, so that the browser may do it
   */
  undo(field: string, isRedo: boolean): boolean {
    const text = textIn(this.doc, field);
    if (text === undefined) return false;
    if (isRedo) this.#history.redo(field, text);
    else this.#history.undo(field, text);
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
  receive(frame: CrdtFrame): void {
    if (this.#isClosed || Version.ofBytes(frame.payload) === null) return;
    if (this.#firstFrames.hold(frame, !this.#hasTexts)) this.#requests.stop();
    else this.#receive([frame]);
  }

  take(maxBytes: number): DocumentUpdate | null {
    if (this.#isClosed || this.#refusal !== null) return null;
    const document = this.doc;
    const max = Math.min(maxBytes, MAX_DOCUMENT_UPDATE_BYTES);
    const { value: update } = updatesAfter(document, this.#confirmed, max).next();
    if (update === undefined) return null;
    const { bytes, version: taken } = update;
    // Later the document may be closed or another one: then the response is not about it.
    const isOver = (): boolean => this.#isClosed || this.doc !== document;
    return {
      bytes,
      // If several updates are needed, the server rejects the first one of a text that is too long.
      length: [...textsIn(document).values()].reduce((sum, { length }) => sum + length, 0),
      sent: () => {
        if (isOver()) return;
        this.#isRetried = false;
        this.#confirmed.add(taken);
        this.#keep();
      },
      refused: (error) => {
        if (!isOver() && this.#retries(error)) return;
        if (!isOver() && this.#writesTexts(error)) return;
        if (!isOver()) this.#rollBack(error);
        this.#engine.mutations.refuse(error);
      },
    };
  }

  /** The user may have changed: starts again without any content. Stored changes stay. */
  reset(): void {
    this.#stored.forget();
    this.#confirmed = new Version();
    this.#isRetried = false;
    this.#check.stop();
    this.#firstFrames.forget();
    this.#refusal = null;
    this.#drafts.forget();
    this.#swap(new LoroDoc());
    this.#loadParts();
    this.#request();
  }

  /** Ends the subscription. Unsent changes stay stored, and are sent. */
  close(): void {
    this.#isClosed = true;
    this.#requests.stop();
    this.#check.stop();
    this.#firstFrames.forget();
    this.#stored.stop();
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
      documents.onReady(({ entity, rowId }) => {
        if (entity === this.key.entity && rowId === this.key.rowId) this.#firstFrames.complete();
      }),
      documents.onOpened(() => {
        // What followed the last snapshot of an earlier connection may not have arrived.
        this.#check.stop();
        this.#firstFrames.forget();
        this.#request();
      }),
    );
    documents.subscribe(this.key);
    // Changes of before are stored and sent from now on.
    this.#drafts.keep();
    this.#keep();
    void documents.load();
    this.#request();
  }

  /** Handles a frame, or a snapshot with the updates after it. */
  #receive(frames: readonly CrdtFrame[]): void {
    const [first] = frames;
    if (first === undefined) return;
    const payloads = frames.map(({ payload }) => payload);
    const version = new Version();
    for (const payload of payloads) version.add(Version.ofBytes(payload) ?? version);
    const isSnapshot = first.type === CRDT_FRAME_SNAPSHOT;
    const isOlder = isSnapshot && !version.includes(this.#confirmed);
    const isOther = isOlder && this.#isOther(first.payload);
    const isLost = isSnapshot && this.#check.onSnapshot(version, this.#confirmed);
    if (!isSnapshot) this.#check.onUpdate(version);
    if (isOther || isLost || (isSnapshot && this.#refusal !== null)) this.#startOver(version);
    let result = this.#import(payloads);
    // The server has dropped the history that this document still continues.
    if (result === "incomplete" && isSnapshot) {
      this.#startOver(version);
      result = this.#import(payloads);
    }
    // Frames were lost in between: a new snapshot contains them.
    if (result === "incomplete") this.#documents?.ask(this.key);
    else if (result === "done") this.#confirmed.add(version);
    this.#keep();
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
    this.#requests.hurry();
  }

  /**
   * Imports the server's state, or changes of it. When the texts arrive, drafts are merged into
   * them, and nothing further is requested.
   *
   * @returns `incomplete` if the changes that it depends on are missing, `invalid` for other bytes
   */
  #import(payloads: readonly Uint8Array[]): "done" | "incomplete" | "invalid" {
    const before = textsIn(this.doc);
    try {
      return this.#quietly(() => {
        const { pending } = this.doc.importBatch([...payloads]);
        for (const [field, text] of textsIn(this.doc))
          if (!before.has(field)) this.#arrived(field, text);
        this.doc.commit();
        return pending === null ? "done" : "incomplete";
      });
    } catch (error) {
      // It depends on history that this document, or the one that was sent, does not have.
      return String(error).includes("shallow") ? "incomplete" : "invalid";
    } finally {
      if (this.#hasTexts) this.#requests.stop();
      this.#shown = idsIn(this.doc);
    }
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

  /** Requests the document until it is there. */
  #request(): void {
    if (!this.#hasTexts && !this.#isClosed) this.#requests.start();
  }

  /** There is no document, for example because sockets do not work here: updates the row. */
  #writeDrafts(): void {
    if (this.#row.getSnapshot() === null) return;
    for (const [field] of this.#drafts.all()) {
      let text = this.#column(field);
      for (const draft of this.#drafts.take(field)) text = mergeTexts(draft.base, draft.text, text);
      this.#update({ [field]: text });
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

  /** Stores the changes that the server does not have, and sends them. */
  #keep(): void {
    const documents = this.#documents;
    if (documents === null) return;
    if (this.#confirmed.includes(Version.of(this.doc))) this.#stored.dropOwn();
    else {
      this.#stored.store(documents, this.doc, this.#confirmed);
      documents.send(this.key, this);
    }
    this.#stored.dropConfirmed(this.#confirmed);
  }

  /**
   * Continues without the unsent changes that the server has rejected: those of the field that the
   * error names, otherwise all. The error receives the texts that are not shown any longer.
   */
  #rollBack(error: MutationError): void {
    const unsent = this.#unsentTexts();
    const isNamed = ([field]: readonly [string, Draft]): boolean => field === error.field;
    const refused = unsent.some(isNamed) ? unsent.filter(isNamed) : unsent;
    this.#continueConfirmed();
    for (const [field, draft] of unsent)
      if (!refused.some(([other]) => other === field)) this.#drafts.set(field, draft);
    this.#mergeAllDrafts();
    this.#keep();
    error.texts = Object.fromEntries(refused.map(([field, { text }]) => [field, text]));
  }

  /**
   * The document has no such texts any longer, because a field was renamed: the row, which still
   * has the earlier name for this page, is updated instead.
   *
   * @returns false if the row has no such fields either
   */
  #writesTexts(error: MutationError): boolean {
    if (error.code !== "CRDT_APPLY_FAILED") return false;
    const row = this.#row.getSnapshot();
    const unsent = this.#unsentTexts();
    const isInRow = unsent.every(([field]) => typeof row?.[field] === "string");
    if (unsent.length === 0 || !isInRow) return false;
    const texts = unsent.map(([field, { base, text }]) => [
      field,
      mergeTexts(base, text, this.#column(field)),
    ]);
    this.#continueConfirmed();
    this.#update(Object.fromEntries(texts));
    this.#keep();
    return true;
  }

  #update(texts: Readonly<Record<string, string>>): void {
    // The engine reports a rejected write itself.
    this.#engine.update(this.key.entity, this.key.rowId, texts).catch(() => undefined);
  }

  #continueConfirmed(): void {
    const { doc } = this;
    if (!doc.isShallow()) {
      const confirmed = doc.vvToFrontiers(this.#confirmed.toLoro());
      return this.#replace(doc.forkAt(confirmed));
    }
    // The library can't copy an earlier version of a document without its history.
    this.#confirmed = new Version();
    this.#replace(new LoroDoc());
    this.#documents?.ask(this.key);
    this.#request();
  }

  /** The texts with unsent changes, as the server has them and as they are shown. */
  #unsentTexts(): readonly (readonly [field: string, draft: Draft])[] {
    const confirmed = this.doc.fork();
    confirmed.checkout(this.doc.vvToFrontiers(this.#confirmed.toLoro()));
    const before = textsIn(confirmed);
    return [...textsIn(this.doc)].flatMap(([field, text]) => {
      const draft = { base: before.get(field)?.toString() ?? "", text: text.toString() };
      return draft.base === draft.text ? [] : [[field, draft] as const];
    });
  }

  #mergeAllDrafts(): void {
    this.#quietly(() => {
      for (const [field, text] of textsIn(this.doc)) this.#mergeDrafts(field, text);
      this.doc.commit();
    });
  }

  /** Adds the stored changes of earlier visits and other tabs. */
  #loadParts(): void {
    const documents = this.#documents;
    if (documents === null) return;
    const stored = documents.stored(this.key);
    // Changes can't be imported before the text that they are based on.
    const bases = stored.filter(({ kind }) => kind === "base");
    for (const { id, kind, bytes } of [...bases, ...stored]) {
      if (this.#stored.has(id)) continue;
      if (kind === "draft") this.#drafts.found(id, bytes);
      else {
        const base = kind === "base" ? decodeBase(bytes) : null;
        const update = base?.document ?? bytes;
        const version = Version.ofBytes(update);
        if (version === null) continue;
        this.#stored.add(id, version);
        this.#import([update]);
        if (base !== null) this.#confirmed.add(base.confirmed);
      }
    }
    // Those of a tab that was closed may be found later than the document.
    this.#mergeAllDrafts();
    this.#keep();
  }

  /** Whether a snapshot is that of a new document: the row was deleted, or a backup restored. */
  #isOther(snapshot: Uint8Array): boolean {
    const other = new LoroDoc();
    other.import(snapshot);
    const known = textsIn(this.doc);
    return [...textsIn(other)].some(([field, { id }]) => {
      const own = known.get(field);
      return own !== undefined && own.id !== id;
    });
  }

  /**
   * The server can't merge the changes, perhaps because its document has another history: waits for
   * that, and tries once to merge them as texts.
   */
  #retries(error: MutationError): boolean {
    if (error.code !== "CRDT_APPLY_FAILED" || this.#isRetried) return false;
    this.#isRetried = true;
    this.#refusal = error;
    this.#documents?.ask(this.key);
    return true;
  }

  /**
   * Turns the unsent changes into drafts, for a document with another history.
   *
   * @param version that of the document, which may contain changes whose response was lost
   */
  #startOver(version: Version): void {
    this.#confirmed.add(Version.of(this.doc).and(version));
    for (const [field, draft] of this.#unsentTexts()) this.#drafts.set(field, draft);
    // They have changed something other than a text.
    if (this.#refusal !== null && this.#drafts.all().length === 0)
      this.#engine.mutations.refuse(this.#refusal);
    this.#refusal = null;
    this.#confirmed = new Version();
    this.#replace(new LoroDoc());
  }

  /** Continues with a document without unsent changes. */
  #replace(document: LoroDoc): void {
    this.#stored.dropAll();
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
