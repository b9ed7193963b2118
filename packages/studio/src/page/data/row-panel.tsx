import { useQueryOne } from "@pylonsync/react";
import type { Row } from "@pylonsync/sync";
import { useEffect, useState, type FormEvent, type ReactElement } from "react";
import { ApiError } from "../api.ts";
import { useStudio } from "../context.ts";
import type { Entity, Field } from "../model.ts";
import { Empty, Problem } from "../parts.tsx";
import { useAction } from "../use-loaded.ts";
import { AccessCheck } from "./access-check.tsx";
import { FieldEditor } from "./field-editor.tsx";
import { parseEntered, textOf } from "./field-value.ts";

/** In place of an id: the panel inserts a row. */
export const NEW_ROW = Symbol("a new row");

interface RowPanelProps {
  readonly entity: Entity;
  readonly id: string | typeof NEW_ROW;
  readonly onClose: () => void;
  readonly onInserted: (id: string) => void;
}

/** One row, to read, change and delete, or a new row to insert. */
export function RowPanel({ entity, id, onClose, onInserted }: RowPanelProps): ReactElement {
  useEffect(() => {
    const close = ({ key }: KeyboardEvent): void => {
      if (key === "Escape") onClose();
    };
    addEventListener("keydown", close);
    return () => removeEventListener("keydown", close);
  }, [onClose]);
  return (
    <aside className="panel" aria-label={id === NEW_ROW ? "New row" : "Row"}>
      <header>
        <h2>{id === NEW_ROW ? `New ${entity.name}` : entity.name}</h2>
        <button type="button" aria-label="Close" onClick={onClose}>
          ✕
        </button>
      </header>
      {id === NEW_ROW ? (
        <RowForm entity={entity} row={null} onSaved={onInserted} />
      ) : (
        <ExistingRow key={id} entity={entity} id={id} onClose={onClose} />
      )}
    </aside>
  );
}

interface ExistingRowProps {
  readonly entity: Entity;
  readonly id: string;
  readonly onClose: () => void;
}

function ExistingRow({ entity, id, onClose }: ExistingRowProps): ReactElement {
  const { engine } = useStudio();
  const { data: row, loading, error } = useQueryOne<Row>(engine, entity.name, id);
  return (
    <>
      <p className="id">{id}</p>
      <Problem error={error} />
      {row === null && !loading && <Empty>This row does not exist.</Empty>}
      {row !== null && (
        <>
          <RowForm entity={entity} row={row} onSaved={() => undefined} />
          <DeleteRow entity={entity} id={id} onDeleted={onClose} />
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
}

/** Only fields that were changed are written, and only if nobody else has changed them since. */
function RowForm({ entity, row, onSaved }: RowFormProps): ReactElement {
  const { api } = useStudio();
  const { isRunning, error, run } = useAction();
  const { texts, seen, change, discard } = useEdits(row);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    run(async () => {
      const write = { entity: entity.name, data: dataOf(entity.fields, texts) };
      const operation =
        row === null
          ? { op: "insert", ...write }
          : { op: "update", id: row.id, ifUnchanged: comparable(seen), ...write };
      const { results } = await api.send<{ readonly results: readonly { readonly id: string }[] }>(
        "POST",
        "/api/transact",
        [operation],
      );
      discard();
      onSaved(results[0]?.id ?? "");
    });
  };
  const failed = error instanceof ApiError ? error.field : undefined;
  const isChanged = row === null || Object.keys(texts).length > 0;
  return (
    <form onSubmit={submit}>
      {entity.fields.map((field) => (
        <FieldEditor
          key={field.name}
          field={field}
          isNew={row === null}
          text={texts[field.name] ?? textOf(row?.[field.name])}
          isChanged={field.name in texts}
          hasProblem={failed === field.name}
          onChange={(text) => change(field.name, text)}
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
          <button type="button" onClick={discard}>
            Discard changes
          </button>
        )}
      </footer>
    </form>
  );
}

interface Edits {
  /** What was entered, by field. */
  readonly texts: Readonly<Record<string, string>>;
  /** The values of the row when each of these fields was first changed here. */
  readonly seen: Readonly<Record<string, unknown>>;
  readonly change: (name: string, text: string) => void;
  readonly discard: () => void;
}

function useEdits(row: Row | null): Edits {
  const [texts, setTexts] = useState<Edits["texts"]>({});
  const [seen, setSeen] = useState<Edits["seen"]>({});
  return {
    texts,
    seen,
    change: (name, text) => {
      setTexts((before) => ({ ...before, [name]: text }));
      if (!(name in seen)) setSeen((before) => ({ ...before, [name]: row?.[name] ?? null }));
    },
    discard: () => {
      setTexts({});
      setSeen({});
    },
  };
}

/** @throws Error with a sentence about the field that can't be read */
function dataOf(
  fields: readonly Field[],
  texts: Readonly<Record<string, string>>,
): Record<string, unknown> {
  const data: Record<string, unknown> = {};
  for (const field of fields) {
    const text = texts[field.name];
    if (text === undefined) continue;
    const entered = parseEntered(text, field);
    if ("problem" in entered) throw new Error(`${field.name}: ${entered.problem}`);
    data[field.name] = entered.value;
  }
  return data;
}

/** Lists and objects can't be compared by `ifUnchanged`. */
function comparable(seen: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(seen).filter(([, value]) => value === null || typeof value !== "object"),
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
