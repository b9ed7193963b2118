import { useEffect, useId, useState, type ReactElement } from "react";
import type { Field } from "../model.ts";
import {
  conditionProblem,
  isFilterable,
  OPERATORS,
  operatorsOf,
  type Condition,
} from "./conditions.ts";

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
          problem={conditionProblem(condition, fields)}
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
  /** Why it does not filter. */
  readonly problem: string | null;
  /** Called with null to remove it. */
  readonly onChange: (condition: Condition | null) => void;
}

function ConditionRow(props: ConditionRowProps): ReactElement {
  const { fields, condition, problem, onChange } = props;
  const field = fields.find(({ name }) => name === condition.field);
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
        {field === undefined && <option>{condition.field}</option>}
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
      <ValueInput
        field={field}
        condition={condition}
        isInvalid={problem !== null}
        onChange={(text) => onChange({ ...condition, text })}
      />
      <button type="button" aria-label="Remove this filter" onClick={() => onChange(null)}>
        ✕
      </button>
      {problem !== null && <small className="bad">{problem} It does not filter.</small>}
    </span>
  );
}

interface ValueInputProps {
  readonly field: Field | undefined;
  readonly condition: Condition;
  readonly isInvalid: boolean;
  readonly onChange: (text: string) => void;
}

/** The value of a condition; the address, which has it too, changes a moment later. */
function ValueInput({ field, condition, isInvalid, onChange }: ValueInputProps): ReactElement {
  const [text, setText] = useState(condition.text);
  useEffect(() => setText(condition.text), [condition.text]);
  const list = useId();
  return (
    <>
      <input
        aria-label="Value"
        placeholder={placeholderOf(field, condition)}
        value={text}
        aria-invalid={isInvalid}
        list={field?.enum === undefined ? undefined : list}
        onChange={({ target }) => {
          setText(target.value);
          onChange(target.value);
        }}
      />
      {field?.enum !== undefined && (
        <datalist id={list}>
          {field.enum.map((value) => (
            <option key={value}>{value}</option>
          ))}
        </datalist>
      )}
    </>
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
