import {
  useCallback,
  useLayoutEffect,
  useMemo,
  type ChangeEventHandler,
  type RefCallback,
} from "react";
import { FieldBinding, type TextElement } from "./field-binding.ts";
import { columnOf, useDocument, type DocumentReader, type FollowDocument } from "./use-document.ts";

/** Props for a `<textarea>` or `<input>` that edits a collaborative text. */
export interface CollabTextareaProps {
  readonly ref: RefCallback<TextElement>;
  readonly value: string;
  readonly onChange: ChangeEventHandler<TextElement>;
  readonly onCompositionStart: () => void;
  readonly onCompositionEnd: () => void;
}

/**
 * Returns props for a `<textarea>` or a text `<input>` that edits a collaborative text. The caret
 * and the selection stay at their characters while others write, and text that is being composed
 * with an input method is not disturbed.
 *
 * @example
 * import { useCollabTextarea } from "@pylonsync/loro";
 *
 * function Editor({ id }: { id: string }) {
 *   return <textarea {...useCollabTextarea("Note", id, "body")} rows={20} />;
 * }
 */
export function useCollabTextarea(entity: string, id: string, field: string): CollabTextareaProps {
  const binding = useMemo(() => new FieldBinding(field), [field, entity, id]);
  const follow = useCallback<FollowDocument>(
    (document, listener) => binding.follow(document, listener),
    [binding],
  );
  const reader: DocumentReader<string> = {
    read: (document) => binding.read(document),
    before: (engine) => columnOf(engine, entity, id, field),
  };
  const [value, edit] = useDocument(entity, id, reader, follow);
  useLayoutEffect(() => binding.rendered(value));
  const ref = useCallback<RefCallback<TextElement>>(
    (element) => binding.attach(element),
    [binding],
  );
  const onChange = useCallback<ChangeEventHandler<TextElement>>(
    () => edit((document) => binding.input(document)),
    [binding, edit],
  );
  const onCompositionStart = useCallback(() => binding.composing(), [binding]);
  const onCompositionEnd = useCallback(
    () => edit((document) => binding.composed(document)),
    [binding, edit],
  );
  return { ref, value, onChange, onCompositionStart, onCompositionEnd };
}
