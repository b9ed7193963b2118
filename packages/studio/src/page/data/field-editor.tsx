import { useId, type ReactElement } from "react";
import { targetOf, type Field } from "../model.ts";
import { rowHref } from "../route.ts";
import { isText, textOf } from "./field-value.ts";

interface FieldEditorProps {
  readonly field: Field;
  readonly isNew: boolean;
  /** Null for the value null. */
  readonly text: string | null;
  /** Whether it differs from the row. */
  readonly isChanged: boolean;
  /** Whether the server has refused its value. */
  readonly hasProblem: boolean;
  readonly onChange: (text: string | null) => void;
  /** Takes the change of this field back. */
  readonly onReset: () => void;
}

/** The label and the input of one field, by its type. */
export function FieldEditor(props: FieldEditorProps): ReactElement {
  const { field, isNew, text, isChanged, hasProblem, onChange } = props;
  const id = useId();
  const target = targetOf(field);
  const isUnknown = field.hidden === true && !isNew && !isChanged;
  const canBeNull = field.optional && (text !== null || isUnknown) && !isFixed(field, isNew);
  return (
    <div className={isChanged ? "field changed" : "field"}>
      <label htmlFor={id}>
        {field.name} <small>{describe(field, isNew)}</small>
      </label>
      <span className="actions">
        {target !== null && text !== null && <a href={rowHref(target, text)}>open</a>}
        {canBeNull && (
          <button type="button" onClick={() => onChange(null)}>
            set to null
          </button>
        )}
      </span>
      <Input {...props} id={id} />
      {hasProblem && <small className="bad">Change this value.</small>}
    </div>
  );
}

function Input(props: FieldEditorProps & { readonly id: string }): ReactElement {
  const { field, isNew, text, hasProblem, onChange, id } = props;
  const choices = field.type === "bool" ? ["true", "false"] : field.enum;
  if (choices !== undefined) return <Choice {...props} choices={choices} />;
  const shared = {
    id,
    value: text ?? "",
    disabled: isFixed(field, isNew),
    "aria-invalid": hasProblem,
    placeholder: placeholderOf(props),
    onChange: ({ target }: { readonly target: { readonly value: string } }): void =>
      onChange(target.value === "" && !isText(field) ? null : target.value),
  };
  const lines = linesOf(field, text ?? "");
  return lines > 1 ? <textarea {...shared} rows={lines} /> : <input {...shared} />;
}

interface ChoiceProps extends FieldEditorProps {
  readonly id: string;
  readonly choices: readonly string[];
}

/** In place of a choice: the value null, or the default of a new row. */
const NONE = "";

function Choice(props: ChoiceProps): ReactElement {
  const { field, isNew, text, hasProblem, onChange, onReset, id, choices } = props;
  const hasDefault = isNew && isDefaulted(field);
  // A stored value that the app no longer allows is shown as it is.
  const shown = text === null || choices.includes(text) ? choices : [text, ...choices];
  return (
    <select
      id={id}
      value={text ?? NONE}
      disabled={isFixed(field, isNew)}
      aria-invalid={hasProblem}
      onChange={({ target }) => {
        if (target.value !== NONE) onChange(target.value);
        else if (hasDefault) onReset();
        else onChange(null);
      }}
    >
      <option value={NONE}>{hasDefault ? "(default)" : "(null)"}</option>
      {shown.map((choice) => (
        <option key={choice}>{choice}</option>
      ))}
    </select>
  );
}

/** Whether only the server sets the field, or it has been set for good. */
function isFixed(field: Field, isNew: boolean): boolean {
  return field.computed === true || (!isNew && (field.readonly === true || isStamped(field)));
}

function isDefaulted(field: Field): boolean {
  return field.default !== undefined || field.default_by_code === true;
}

function isStamped({ timestamp }: Field): boolean {
  return timestamp !== undefined;
}

/** Formats what an editor must know about a field: `int, optional`. */
function describe(field: Field, isNew: boolean): string {
  const notes = [
    field.format ?? field.type,
    field.optional && "optional",
    field.unique && "unique",
    field.owner === true && "owner",
    field.hidden === true && "hidden from callers",
    field.computed === true && "computed",
    !isNew && field.readonly === true && "read-only",
  ];
  return notes.filter((note) => note !== false).join(", ");
}

/** Says what an empty input stands for. */
function placeholderOf({ field, isNew, text, isChanged }: FieldEditorProps): string {
  if (text === "") return "empty text";
  if (field.hidden === true && !isNew && !isChanged)
    return "not shown; enter a value to replace it";
  if (isNew && !isChanged && field.default_by_code === true) return "default: by a function";
  if (isNew && !isChanged && field.default !== undefined)
    return `default: ${textOf(field.default) ?? ""}`;
  if (field.optional) return "null";
  return field.type === "datetime" ? "2030-01-31T12:00:00Z" : "";
}

/** The height of the editor: one line for short values, up to twelve for texts and JSON. */
function linesOf({ type }: Field, text: string): number {
  if (type === "json" || type === "array" || type === "richtext")
    return Math.min(12, Math.max(3, text.split("\n").length));
  return type === "string" && (text.includes("\n") || text.length > 60)
    ? Math.min(12, Math.max(2, text.split("\n").length, Math.ceil(text.length / 50)))
    : 1;
}
