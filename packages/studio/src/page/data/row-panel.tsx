import { useQueryOne } from "@pylonsync/react";
import type { Row } from "@pylonsync/sync";
import {
  useEffect,
  useEffectEvent,
  useLayoutEffect,
  useRef,
  useState,
  type FormEvent,
  type ReactElement,
  type RefObject,
} from "react";
import { ApiError } from "../api.ts";
import { useStudio } from "../context.ts";
import type { Entity } from "../model.ts";
import { Empty, Problem } from "../parts.tsx";
import { useAction } from "../use-loaded.ts";
import { AccessCheck } from "./access-check.tsx";
import { FieldEditor } from "./field-editor.tsx";
import { NO_EDITS, saveOperation, shownText, withEdit, withoutEdit } from "./edits.ts";

/** In place of an id: the panel inserts a row. */
export const NEW_ROW = Symbol("a new row");

interface RowPanelProps {
  readonly entity: Entity;
  readonly id: string | typeof NEW_ROW;
  readonly onClose: () => void;
  readonly onInserted: (id: string) => void;
  readonly onDeleted: () => void;
  /** Called with whether there are changes that are not saved. */
  readonly onEdited: (hasEdits: boolean) => void;
}

/** One row, to read, change and delete, or a new row to insert. */
export function RowPanel(props: RowPanelProps): ReactElement {
  const { entity, id, onClose, onInserted } = props;
  const close = useEffectEvent(({ key }: KeyboardEvent) => {
    if (key === "Escape") onClose();
  });
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => close(event);
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  return (
    <aside
      className="panel"
      aria-label={id === NEW_ROW ? "New row" : "Row"}
      tabIndex={-1}
      ref={useFocus()}
    >
      <header>
        <h2>{id === NEW_ROW ? `New ${entity.name}` : entity.name}</h2>
        <button type="button" aria-label="Close" onClick={onClose}>
          ✕
        </button>
      </header>
      {id === NEW_ROW ? (
        <RowForm entity={entity} row={null} onSaved={onInserted} onEdited={props.onEdited} />
      ) : (
        <ExistingRow {...props} id={id} />
      )}
    </aside>
  );
}

/** Moves the keyboard to the element, and back when it is removed. */
function useFocus(): RefObject<HTMLElement | null> {
  const ref = useRef<HTMLElement>(null);
  useLayoutEffect(() => {
    const element = ref.current;
    const before = document.activeElement;
    element?.focus();
    return () => {
      if (element?.contains(document.activeElement) === true && before instanceof HTMLElement)
        before.focus();
    };
  }, []);
  return ref;
}

interface ExistingRowProps extends Pick<RowPanelProps, "entity" | "onDeleted" | "onEdited"> {
  readonly id: string;
}

function ExistingRow({ entity, id, onDeleted, onEdited }: ExistingRowProps): ReactElement {
  const { engine } = useStudio();
  const { data, loading, error } = useQueryOne<Row>(engine, entity.name, id);
  const [latest, setLatest] = useState<Row | null>(null);
  useEffect(() => {
    if (data !== null) setLatest(data);
  }, [data]);
  // After a restart of the server the row is loaded again: what was entered stays meanwhile.
  const row = data ?? (loading ? latest : null);
  return (
    <>
      <p className="id">{id}</p>
      <Problem error={error} />
      {row === null && !loading && error === null && <Empty>This row does not exist.</Empty>}
      {row !== null && (
        <>
          <RowForm entity={entity} row={row} onSaved={() => undefined} onEdited={onEdited} />
          <DeleteRow
            entity={entity}
            id={id}
            onDeleted={() => {
              onEdited(false);
              onDeleted();
            }}
          />
          <AccessCheck entity={entity.name} id={id} />
        </>
      )}
    </>
  );
}

interface RowFormProps {
  readonly entity: Entity;
  /** Null for a new row. */
  readonly row: Row | null;
  readonly onSaved: (id: string) => void;
  readonly onEdited: (hasEdits: boolean) => void;
}

/** Only fields that were changed are written, and only if nobody else has changed them since. */
function RowForm({ entity, row, onSaved, onEdited }: RowFormProps): ReactElement {
  const { api } = useStudio();
  const { isRunning, error, run } = useAction();
  const [edits, setEdits] = useState(NO_EDITS);
  useEffect(() => {
    onEdited(edits.size > 0);
    return () => onEdited(false);
  }, [onEdited, edits]);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    run(async () => {
      const operation = saveOperation(entity, row, edits);
      const { results } = await api.send<{ readonly results: readonly { readonly id: string }[] }>(
        "POST",
        "/api/transact",
        [operation],
      );
      setEdits(NO_EDITS);
      // Before the address changes.
      onEdited(false);
      onSaved(results[0]?.id ?? "");
    });
  };
  const failed = error instanceof ApiError ? error.field : undefined;
  const isChanged = row === null || edits.size > 0;
  return (
    <form onSubmit={submit}>
      {entity.fields.map((field) => (
        <FieldEditor
          key={field.name}
          field={field}
          isNew={row === null}
          text={shownText(edits, row, field.name)}
          isChanged={edits.has(field.name)}
          hasProblem={failed === field.name}
          onChange={(text) => setEdits((before) => withEdit(before, row, field.name, text))}
          onReset={() => setEdits((before) => withoutEdit(before, field.name))}
        />
      ))}
      <Problem error={error} />
      {error instanceof ApiError && error.code === "ROW_CHANGED" && (
        <p>Somebody else has changed this value. Discard your changes to see it.</p>
      )}
      <footer>
        <button type="submit" className="primary" disabled={isRunning || !isChanged}>
          {row === null ? "Insert" : "Save"}
        </button>
        {row !== null && isChanged && (
          <button type="button" onClick={() => setEdits(NO_EDITS)}>
            Discard changes
          </button>
        )}
      </footer>
    </form>
  );
}

interface DeleteRowProps {
  readonly entity: Entity;
  readonly id: string;
  readonly onDeleted: () => void;
}

/** Asks before it deletes: it also deletes or changes rows that refer to this one. */
function DeleteRow({ entity, id, onDeleted }: DeleteRowProps): ReactElement {
  const { api } = useStudio();
  const [isAsking, setIsAsking] = useState(false);
  const { isRunning, error, run } = useAction();
  const path = `/api/entities/${encodeURIComponent(entity.name)}/${encodeURIComponent(id)}`;
  return (
    <div className="danger">
      {isAsking ? (
        <>
          Delete this row for good?
          <button
            type="button"
            className="bad"
            disabled={isRunning}
            onClick={() => run(() => api.send("DELETE", path).then(onDeleted))}
          >
            Delete
          </button>
          <button type="button" onClick={() => setIsAsking(false)}>
            Keep
          </button>
        </>
      ) : (
        <button type="button" onClick={() => setIsAsking(true)}>
          Delete row
        </button>
      )}
      <Problem error={error} />
    </div>
  );
}
