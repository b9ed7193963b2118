import { errorAt, type Diagnostic } from "./diagnostic.ts";

/** The format of the names of entities and fields. */
export const NAME = /^[A-Za-z][A-Za-z0-9_]{0,62}$/;
/** Each old name serves clients of an older version: after some time the oldest can be removed. */
const MAX_OLD_NAMES = 10;

interface Named {
  readonly name: string;
  readonly renamed_from?: readonly string[];
}

/**
 * Checks the old names of entities, or of the fields of an entity: each may refer to only one of
 * them.
 *
 * @param labelOf returns the name of an entity or field in messages
 */
export function* checkOldNames(
  items: readonly Named[],
  at: string,
  labelOf: (name: string) => string,
): Generator<Diagnostic> {
  const taken = new Map(items.map(({ name }) => [name, name]));
  for (const [index, { name, renamed_from: oldNames = [] }] of items.entries()) {
    const path = `${at}[${index}].renamed_from`;
    const wrong = (message: string, hint: string): Diagnostic =>
      errorAt("RENAME_INVALID", `${labelOf(name)} ${message}.`, path, hint);
    if (oldNames.length > MAX_OLD_NAMES)
      yield wrong(`has more than ${MAX_OLD_NAMES} old names`, "Remove the oldest ones.");
    for (const old of oldNames) {
      const owner = taken.get(old);
      taken.set(old, name);
      if (!NAME.test(old) || old === "id")
        yield wrong(
          `is renamed from "${old.slice(0, 80)}", which is not a valid name`,
          "Use at most 63 letters, digits and _, starting with a letter.",
        );
      else if (old === name)
        yield wrong(
          "is renamed from its own name",
          "Remove renamedFrom, or set it to the old name.",
        );
      else if (owner !== undefined)
        yield wrong(
          `is renamed from "${old}", which ` +
            (owner === old ? "still exists" : `${labelOf(owner)} is as well`),
          "An old name can be used only once: remove one of the two.",
        );
    }
  }
}
