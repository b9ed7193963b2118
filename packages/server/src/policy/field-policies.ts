import { and, nodesOf, type Expr, type SchemaShape } from "@pylonsync/query";
import type { Manifest, ManifestFieldPolicy } from "@pylonsync/sdk";
import { errorAt, type Diagnostic } from "../schema/diagnostic.ts";
import type { PolicyCompiler } from "./policy-compiler.ts";
import type { PolicyPart } from "./policy-part.ts";

/** The kinds of access to a field that a policy controls. */
export type FieldAccess = "read" | "insert" | "update";

/** By entity and access: the condition of each field that has a policy. */
export type FieldPolicies = ReadonlyMap<string, ReadonlyMap<string, Expr>>;

const ACCESSES: readonly FieldAccess[] = ["read", "insert", "update"];
const ROOTS = { read: [], insert: ["data"], update: ["data", "old"] } as const;
/** For each access, the policy keys that define it; the first one that is set applies. */
const TEXTS: Record<FieldAccess, readonly (keyof ManifestFieldPolicy)[]> = {
  read: ["allowRead", "allow"],
  insert: ["allowInsert", "allowWrite", "allow"],
  update: ["allowUpdate", "allowWrite", "allow"],
};

/** The key of an access to an entity's fields in FieldPolicies. */
export function fieldsKey(entity: string, access: FieldAccess): string {
  return `${entity}.${access}`;
}

/**
 * Compiles the policies of single fields. Every policy of a field must allow the access; a field
 * without a policy is as accessible as its row.
 *
 * @param compiler collects the errors
 * @param parts collects the conditions of the individual policies, by `Entity.access.field`
 */
export function compileFieldPolicies(
  { entities, policies }: Manifest,
  schema: SchemaShape,
  compiler: PolicyCompiler,
  parts: Map<string, PolicyPart[]>,
): FieldPolicies {
  const all = new Map<string, Map<string, Expr>>();
  for (const [index, { name, entity, fields = {} }] of policies.entries()) {
    if (entity === undefined) continue;
    for (const [field, texts] of Object.entries(fields)) {
      const place = { name, entity, field, at: `policies[${index}].fields.${field}` };
      if (schema.get(entity)?.fields.has(field) !== true || field === "id") {
        compiler.diagnostics.push(notFound(place));
        continue;
      }
      for (const access of ACCESSES) {
        const expr = compileOne(place, access, texts, compiler);
        if (expr === undefined) continue;
        const key = fieldsKey(entity, access);
        const rules = all.get(key) ?? new Map<string, Expr>();
        const before = rules.get(field);
        all.set(key, rules.set(field, before === undefined ? expr : and(before, expr)));
        const text = textOf(texts, access);
        const known = parts.get(`${key}.${field}`) ?? [];
        parts.set(`${key}.${field}`, [...known, { name, text, isLimit: true, expr }]);
      }
    }
  }
  for (const { name, search } of entities) {
    const read = all.get(fieldsKey(name, "read"));
    for (const field of search?.text ?? [])
      if (read?.has(field) === true) compiler.diagnostics.push(searched(name, field));
  }
  return all;
}

function textOf(texts: ManifestFieldPolicy, access: FieldAccess): string {
  return TEXTS[access].map((key) => texts[key]?.trim()).find((text) => text) ?? "";
}

interface Place {
  readonly name: string;
  readonly entity: string;
  readonly field: string;
  readonly at: string;
}

function compileOne(
  { name, entity, field, at }: Place,
  access: FieldAccess,
  texts: ManifestFieldPolicy,
  compiler: PolicyCompiler,
): Expr | undefined {
  const label = `The policy "${name}" of ${entity}.${field}`;
  const expr = compiler.compile({
    label,
    texts: { ...texts },
    keys: TEXTS[access],
    // The fields that a caller may read are the same for all rows, so that a query that uses
    // another field can be rejected.
    scope: access === "read" ? { entity, roots: ["data"] } : { entity, roots: ROOTS[access] },
    at,
  });
  if (access !== "read" || expr === undefined || readsOnlyCaller(expr)) return expr;
  const diagnostic = errorAt(
    "FIELD_POLICY_READS_ROW",
    `${label} makes reading the field depend on the row, but only auth. is supported.`,
    at,
    "Use only auth. in allowRead, or move the field to a separate entity with its own policy.",
  );
  compiler.diagnostics.push(diagnostic);
  return expr;
}

function readsOnlyCaller(expr: Expr): boolean {
  for (const node of nodesOf(expr)) {
    if (node.kind === "exists" || node.kind === "hasRelated" || node.kind === "now") return false;
    if (node.kind === "path" && node.root !== "auth") return false;
  }
  return true;
}

function notFound({ name, entity, field, at }: Place): Diagnostic {
  return errorAt(
    "POLICY_FIELD_NOT_FOUND",
    field === "id"
      ? `The policy "${name}" restricts the id of ${entity}, which every reader of a row needs.`
      : `The policy "${name}" restricts ${entity}.${field}, which does not exist.`,
    at,
    "Use a field of the entity.",
  );
}

function searched(entity: string, field: string): Diagnostic {
  return errorAt(
    "FIELD_POLICY_SEARCHED",
    `The search of ${entity} would reveal ${entity}.${field}, which not everyone may read.`,
    `entities.${entity}.search`,
    "Remove the field from the search.",
  );
}
