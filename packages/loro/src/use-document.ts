import { useEngine } from "@pylonsync/react";
import type { SyncEngine } from "@pylonsync/sync";
import { useCallback, useReducer, useSyncExternalStore } from "react";
import type { CollabDocument } from "./collab-document.ts";
import { documentsOf } from "./engine-documents.ts";

/** Runs work with a document, also after the component has left the page. */
export type EditDocument = (work: (document: CollabDocument) => void) => void;

/** How a hook reads a document. Both functions may change with each render. */
export interface DocumentReader<T> {
  readonly read: (document: CollabDocument) => T;
  /** Returns the value before the document is open, as during server rendering. */
  readonly before: (engine: SyncEngine) => T;
}

/** Additional listeners of a document, while it is shown. @returns an unsubscribe function */
export type FollowDocument = (document: CollabDocument, listener: () => void) => () => void;

const FOLLOW_NOTHING: FollowDocument = () => () => undefined;

/**
 * Keeps a document open while the component is mounted, and renders it again when the value
 * changes.
 *
 * @param follow must be stable
 */
export function useDocument<T>(
  entity: string,
  rowId: string,
  reader: DocumentReader<T>,
  follow = FOLLOW_NOTHING,
): [T, EditDocument] {
  const engine = useEngine();
  const [, render] = useReducer((count: number) => count + 1, 0);
  const edit = useCallback<EditDocument>(
    (work) => {
      const { document, release } = documentsOf(engine).use(entity, rowId);
      work(document);
      release();
      // A user may type before React has subscribed: without this, React would restore the text.
      render();
    },
    [engine, entity, rowId],
  );
  const subscribe = useCallback(
    (listener: () => void) => {
      const { document, release } = documentsOf(engine).use(entity, rowId);
      // The first one moves the selection of the text that the second one renders.
      const stops = [follow(document, listener), document.onChange(listener)];
      return () => {
        for (const stop of stops) stop();
        release();
      };
    },
    [engine, entity, rowId, follow],
  );
  const before = (): T => reader.before(engine);
  const read = (): T => {
    const document = documentsOf(engine).get(entity, rowId);
    return document === undefined ? before() : reader.read(document);
  };
  return [useSyncExternalStore(subscribe, read, before), edit];
}

/** Returns the text of a field as the row contains it. */
export function columnOf(engine: SyncEngine, entity: string, rowId: string, field: string): string {
  const value = engine.store.get(entity, rowId)?.[field];
  return typeof value === "string" ? value : "";
}
