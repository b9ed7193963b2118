import { invalidQuery } from "./errors.ts";
import { isNestedKind, isScalarKind, type FieldKind } from "./field-kinds.ts";
import type { FieldChecks, FieldUse } from "./filter-parser.ts";
import { comparable, storableText } from "./value-kind.ts";

/** The checks of a filter that depend on the kinds of fields. */
export const FIELD_CHECKS: FieldChecks = {
  comparable,
  storableText,
  requireUse(kind, use, name, at) {
    const { fits, problem, hint } = USES[use];
    if (fits(kind)) return;
    invalidQuery(at, `${at}${problem(name, `${/^[aei]/.test(kind) ? "an" : "a"} ${kind}`)}`, hint);
  },
};

interface UseRule {
  readonly fits: (kind: FieldKind) => boolean;
  /** @param kind with its article: `an int` */
  readonly problem: (name: string, kind: string) => string;
  readonly hint?: string;
}

const USES: Readonly<Record<FieldUse, UseRule>> = {
  ordered: {
    fits: (kind) => kind !== "bool" && isScalarKind(kind),
    problem: (_name, kind) => `: ${kind} can't be ordered.`,
  },
  list: {
    fits: isNestedKind,
    problem: (name, kind) => ` requires a list, but ${name} is ${kind}.`,
  },
  object: {
    fits: (kind) => kind === "json",
    problem: (name, kind) => `: ${name} is ${kind}.`,
    hint: "Only json fields have paths.",
  },
  text: {
    fits: (kind) => kind === "string" || kind === "richtext" || kind === "id",
    problem: (name, kind) => ` requires a text field, but ${name} is ${kind}.`,
  },
};
