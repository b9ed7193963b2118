import { useEffect, useState, type ReactElement } from "react";
import type { Field } from "../model.ts";
import { isFilterable, OPERATORS, operatorsOf, type Condition } from "./conditions.ts";

interface FilterBarProps {
  readonly fields: readonly Field[];
  readonly conditions: readonly Condition[];
  readonly onChange: (conditions: readonly Condition[]) => void;
}

/** The conditions of a list: all of them must hold. */
export function FilterBar({ fields, conditions, onChange }: FilterBarProps): ReactElement {
  const filterable = fields.filter(isFilterable);
  const [first] = filterable.slice(1);
  const add = (): void => {
    const field = first ?? filterable[0];
    if (field === undefined) return;
    const [operator = "$eq"] = operatorsOf(field);
    onChange([...conditions, { field: field.name, operator, text: "" }]);
  };
  return (
    <div className="filters">
      {conditions.map((condition, index) => (
        <ConditionRow
          key={index}
          fields={filterable}
          condition={condition}
          onChange={(next) =>
            onChange(next === null ? conditions.toSpliced(index, 1) : conditions.with(index, next))
          }
        />
      ))}
      <button type="button" onClick={add}>
        + Filter
      </button>
    </div>
  );
}

interface ConditionRowProps {
  readonly fields: readonly Field[];
  readonly condition: Condition;
  /** Called with null to remove it. */
  readonly onChange: (condition: Condition | null) => void;
}

function ConditionRow({ fields, condition, onChange }: ConditionRowProps): ReactElement {
  const field = fields.find(({ name }) => name === condition.field);
  const [text, setText] = useState(condition.text);
  useEffect(() => setText(condition.text), [condition.text]);
  const operators = field === undefined ? [condition.operator] : operatorsOf(field);
  const choose = (name: string): void => {
    const chosen = fields.find((candidate) => candidate.name === name);
    if (chosen === undefined) return;
    const allowed = operatorsOf(chosen);
    const operator = allowed.includes(condition.operator) ? condition.operator : allowed[0];
    onChange({ field: name, operator: operator ?? "$eq", text: "" });
  };
  return (
    <span className="condition">
      <select
        aria-label="Field"
        value={condition.field}
        onChange={({ target }) => choose(target.value)}
      >
        {fields.map(({ name }) => (
          <option key={name}>{name}</option>
        ))}
      </select>
      <select
        aria-label="Comparison"
        value={condition.operator}
        onChange={({ target }) => {
          const operator = operators.find((candidate) => candidate === target.value);
          if (operator !== undefined) onChange({ ...condition, operator });
        }}
      >
        {operators.map((operator) => (
          <option key={operator} value={operator}>
            {OPERATORS[operator]}
          </option>
        ))}
      </select>
      <input
        aria-label="Value"
        placeholder={placeholderOf(field, condition)}
        value={text}
        list={field?.enum === undefined ? undefined : `values-${field.name}`}
        onChange={({ target }) => {
          setText(target.value);
          onChange({ ...condition, text: target.value });
        }}
      />
      {field?.enum !== undefined && (
        <datalist id={`values-${field.name}`}>
          {field.enum.map((value) => (
            <option key={value}>{value}</option>
          ))}
        </datalist>
      )}
      <button type="button" aria-label="Remove this filter" onClick={() => onChange(null)}>
        ✕
      </button>
    </span>
  );
}

function placeholderOf(field: Field | undefined, { operator }: Condition): string {
  if (operator === "$in") return "one, another";
  if (field?.optional === true && (operator === "$eq" || operator === "$ne")) return "empty: null";
  switch (field?.type) {
    case "datetime":
      return "2030-01-31T12:00:00Z";
    case "bool":
      return "true or false";
    case "int":
    case "float":
      return "12";
    default:
      return "value";
  }
}
