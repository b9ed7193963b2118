import * as v from "valibot";

const Access = v.object({
  outcome: v.string(),
  policies: v.array(
    v.object({ name: v.string(), rule: v.string(), restrict: v.boolean(), outcome: v.string() }),
  ),
});

/** The displayed part of the response of `POST /api/admin/explain`. */
export const ExplanationSchema = v.looseObject({
  entity: v.string(),
  row: v.nullable(v.string()),
  caller: v.looseObject({ userId: v.nullable(v.string()) }),
  access: v.record(v.string(), Access),
  /** Absent from servers of an earlier version. */
  fields: v.optional(v.record(v.string(), v.record(v.string(), Access))),
  closed_fields: v.array(v.string()),
  list: v.object({
    sql: v.string(),
    steps: v.array(v.string()),
    scans: v.array(v.string()),
  }),
});
/** See `ExplanationSchema`. */
export type Explanation = v.InferOutput<typeof ExplanationSchema>;

const WORDS: Readonly<Record<string, string>> = {
  allowed: "allowed",
  refused: "refused",
  depends: "depends on the row",
};

/** Who may access an entity in which way, why, and how the rows are found, for people. */
export function explanationText(explanation: Explanation): string {
  const { entity, row, caller, access, fields = {}, closed_fields: closed, list } = explanation;
  const who = caller.userId === null ? "an anonymous caller" : `the user ${caller.userId}`;
  const lines = [`Access of ${who} to ${entity}:`];
  if (row === "missing") lines.push("There is no row with this id.");
  for (const [name, one] of Object.entries(access)) lines.push("", ...accessLines(name, one));
  for (const [field, accesses] of Object.entries(fields))
    for (const [name, one] of Object.entries(accesses))
      if (one.policies.length > 0) lines.push("", ...accessLines(`${name} ${field}`, one));
  if (closed.length > 0) lines.push("", `fields that can't be read: ${closed.join(", ")}`);
  lines.push(
    "",
    "Query plan of a list:",
    `  ${list.sql}`,
    ...list.steps.map((step) => `  ` + `${step}`),
  );
  for (const table of list.scans)
    lines.push(`  No index is used for ${table}: all of its rows are scanned.`);
  return lines.join("\n");
}

function accessLines(name: string, { outcome, policies }: v.InferOutput<typeof Access>): string[] {
  const lines = [`${name}: ${WORDS[outcome] ?? outcome}`];
  if (policies.length === 0) lines.push("  no policy applies");
  for (const policy of policies) {
    const kind = policy.restrict ? " (restricts)" : "";
    lines.push(`  ${policy.name}${kind}: ${WORDS[policy.outcome] ?? policy.outcome}`);
    lines.push(`    ${policy.rule.replaceAll("\n", "\n    ")}`);
  }
  return lines;
}
