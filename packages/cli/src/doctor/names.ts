import { unknownVariables } from "../settings/variable-names.ts";
import { pass, warning, type Check } from "./check.ts";
import type { ProductionSettings } from "./production-settings.ts";

/**
 * Checks whether each variable with Pylon's prefix is read by something: a misspelled name has no
 * effect and causes no error.
 */
export function checkNames({ env, known }: Pick<ProductionSettings, "env" | "known">): Check {
  const set = Object.keys(env).filter((name) => (env[name] ?? "") !== "");
  const unknown = unknownVariables(set, known).map(
    ({ name, meant }) => `${name}${meant === undefined ? "" : ` (did you mean ${meant}?)`}`,
  );
  return unknown.length === 0
    ? pass("names", "every PYLON_ variable is known")
    : warning(
        "names",
        `Unknown variables: ${unknown.join(", ")}. Correct the ` +
          "names, or use another prefix for variables of your own.",
      );
}
