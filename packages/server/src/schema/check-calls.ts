import type { ManifestCall } from "@pylonsync/sdk";
import { duplicates } from "./check-names.ts";
import { errorAt, type Diagnostic } from "./diagnostic.ts";
import { FIELD_TYPES, targetOf } from "./field-kind.ts";

const INPUT_TYPES = [...FIELD_TYPES, "number", "boolean", "id", "any", "object", "array"];

/** Checks the queries or the actions that an app declares. */
export function* checkCalls(
  calls: readonly ManifestCall[],
  kind: "QUERY" | "ACTION",
  at: string,
): Generator<Diagnostic> {
  yield* duplicates(calls, kind, at);
  for (const [index, call] of calls.entries()) {
    const inputs = call.input ?? [];
    yield* duplicates(inputs, "INPUT_FIELD", `${at}[${index}].input`);
    for (const { name, type } of inputs) {
      if (INPUT_TYPES.includes(type) || targetOf(type) !== undefined) continue;
      yield errorAt(
        "INPUT_FIELD_TYPE_UNKNOWN",
        `The input "${name}" of "${call.name}" has the unknown type "${type}".`,
        `${at}[${index}].input`,
      );
    }
  }
}
