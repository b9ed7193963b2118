import type { ManifestField } from "@pylonsync/sdk";
import type { LostValues } from "./data-facts.ts";
import type { MigrationStep } from "./migration.ts";
import type { Value } from "./row.ts";

/** Describes a step in words: `add Todo.due (datetime)`. */
export function describeStep(step: MigrationStep): string {
  switch (step.kind) {
    case "create_table": {
      const columns = step.entity.fields.map(({ name, type }) => `${name} ${type}`);
      return `create ${step.entity.name} (${columns.join(", ")})`;
    }
    case "add_column":
      return `add ${step.entity}.${step.field.name} (${step.field.type})`;
    case "repair_dates":
      return `normalize the dates of ${step.entity}.${step.field.name}`;
    case "create_index": {
      const { name, fields, unique } = step.index;
      const index = `${unique ? "unique " : ""}index ${name}`;
      return `create ${index} on ${step.entity} (${fields.join(", ")})`;
    }
    case "drop_index":
      return `drop index ${step.index} of ${step.entity}`;
    case "build_search": {
      const names = step.index.fields.map(({ name }) => name).join(", ");
      return `build the search index of ${step.entity} (${names})`;
    }
    case "drop_search":
      return `drop the search index of ${step.entity}`;
    case "drop_table":
      return `drop ${step.entity} with all its rows`;
    case "drop_column":
      return `drop ${step.entity}.${step.field} with all its values`;
    case "convert_column":
      return `convert ${step.entity}.${step.to.name} from ${step.from.type} to ${step.to.type}`;
    case "backfill":
      return `fill in ${step.entity}.${step.field.name} of rows without a value, in batches`;
    case "compute":
      return `compute ${step.entity}.${step.field.name} of all rows, in batches`;
    case "retype_column": {
      const { entity, from, to, lost } = step;
      return (
        `change ${entity}.${to.name} from ${from.type} to ${to.type}` + lostValuesText(to, lost)
      );
    }
  }
}

function lostValuesText(to: ManifestField, lost: LostValues | undefined): string {
  if (lost === undefined) return "";
  const end = to.optional ? " and become null" : "";
  const samples = lost.samples.map(showValue).join(", ");
  return `; ${countOf(lost)} can't be converted${end}, such as ${samples}`;
}

/** Formats the number of values that would be lost. */
export function countOf({ count }: LostValues): string {
  return `${count} ${count === 1 ? "value" : "values"}`;
}

/** An id has 40 characters, and is shown in full. */
const MAX_SHOWN_CHARACTERS = 40;

/** Formats a value for a message, shortened if it is a long text. */
export function showValue(value: Value): string {
  const isLong = typeof value === "string" && value.length > MAX_SHOWN_CHARACTERS;
  return JSON.stringify(isLong ? `${value.slice(0, MAX_SHOWN_CHARACTERS)}...` : value);
}
