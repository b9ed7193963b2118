import { useId, type ReactElement } from "react";
import { targetOf, type Field } from "../model.ts";
import { rowHref } from "../route.ts";

interface FieldEditorProps {
  readonly field: Field;
  readonly isNew: boolean;
  readonly text: string;
  /** Whether it differs from the row. */
  readonly isChanged: boolean;
  /** Whether the server has refused its value. */
  readonly hasProblem: boolean;
  readonly onChange: (text: string) => void;
}

/** The label and the input of one field, by its type. */
export function FieldEditor(props: FieldEditorProps): ReactElement {
  const { field, isNew, text, isChanged, hasProblem } = props;
  const id = useId();
  const target = targetOf(field);
  return (
    <div className={isChanged ? "field changed" : "field"}>
      <label htmlFor={id}>
        {field.name} <small>{describe(field, isNew)}</small>
        {target !== null && text !== "" && <a href={rowHref(target, text)}>open</a>}
      </label>
      <Input {...props} id={id} />
      {hasProblem && <small className="bad">Change this value.</small>}
    </div>
  );
}

function Input({
  field,
  isNew,
  text,
  hasProblem,
  onChange,
  id,
}: FieldEditorProps & { readonly id: string }): ReactElement {
  const isFixed =
    field.computed === true || (!isNew && (field.readonly === true || isStamped(field)));
  const shared = { id, value: text, disabled: isFixed, "aria-invalid": hasProblem };
  const change = ({ target }: { readonly target: { readonly value: string } }): void =>
    onChange(target.value);
  const choices = field.type === "bool" ? ["true", "false"] : field.enum;
  if (choices !== undefined)
    return (
      <select {...shared} onChange={change}>
        <option value="">{isNew && field.default !== undefined ? "(default)" : "(null)"}</option>
        {choices.map((choice) => (
          <option key={choice}>{choice}</option>
        ))}
      </select>
    );
  const lines = linesOf(field, text);
  if (lines > 1) return <textarea {...shared} rows={lines} onChange={change} />;
  return <input {...shared} placeholder={placeholderOf(field, isNew)} onChange={change} />;
}

function isStamped({ timestamp }: Field): boolean {
  return timestamp !== undefined;
}

/** Formats what an editor must know about a field: `int, optional`. */
function describe(field: Field, isNew: boolean): string {
  const notes = [
    field.type,
    field.optional && "optional",
    field.unique && "unique",
    field.owner === true && "owner",
    field.hidden === true && "hidden from callers",
    field.computed === true && "computed",
    !isNew && field.readonly === true && "read-only",
  ];
  return notes.filter((note) => note !== false).join(", ");
}

function placeholderOf(field: Field, isNew: boolean): string {
  if (isNew && field.default !== undefined) return `default: ${String(field.default)}`;
  if (field.type === "datetime") return "2030-01-31T12:00:00Z";
  return field.optional ? "null" : "";
}

/** The height of the editor: one line for short values, up to twelve for texts and JSON. */
function linesOf({ type }: Field, text: string): number {
  if (type === "json" || type === "array" || type === "richtext")
    return Math.min(12, Math.max(3, text.split("\n").length));
  return type === "string" && (text.includes("\n") || text.length > 60)
    ? Math.min(12, Math.max(2, text.split("\n").length, Math.ceil(text.length / 50)))
    : 1;
}
