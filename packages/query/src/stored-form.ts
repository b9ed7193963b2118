import { normaliseDatetime } from "./datetime.ts";
import { normaliseDecimal } from "./decimal.ts";
import type { ToForm } from "./path-value.ts";

/** Converts a value to the form in which a field of the kind stores it. */
export const storedForm: ToForm = (value, form) => {
  if (form === "decimal") return normaliseDecimal(value);
  return typeof value === "string" ? normaliseDatetime(value) : undefined;
};
