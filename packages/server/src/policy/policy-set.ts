import {
  and,
  FALSE,
  nodesOf,
  pathsOf,
  TRUE,
  type ExistsExpr,
  type Expr,
  type Root,
  type SchemaShape,
} from "@pylonsync/query";
import type { Manifest, ManifestPolicy } from "@pylonsync/sdk";
import type { Diagnostic } from "../schema/diagnostic.ts";
import {
  compileFieldPolicies,
  fieldsKey,
  type FieldAccess,
  type FieldPolicies,
} from "./field-policies.ts";
import { PolicyCompiler } from "./policy-compiler.ts";
import type { PolicyPart } from "./policy-part.ts";
import { revealedFields } from "./revealed-fields.ts";

/** The kinds of access to a row. */
export type Access = "read" | "insert" | "update" | "delete";

type PolicyText = Exclude<
  keyof ManifestPolicy,
  "name" | "entity" | "action" | "restrict" | "fields"
>;

/** A read rule of another entity that reads rows of this one. */
export interface RuleReader {
  readonly entity: string;
  readonly exists: ExistsExpr;
}

const ACCESSES: readonly Access[] = ["read", "insert", "update", "delete"];
const ROOTS: Record<Access, readonly Root[]> = {
  read: ["data"],
  insert: ["data"],
  update: ["data", "old"],
  delete: ["data"],
};
/** For each access, the policy keys that define it; the first one that is set applies. */
const TEXTS: Record<Access, readonly PolicyText[]> = {
  read: ["allowRead", "allow"],
  insert: ["allowInsert", "allowWrite", "allow"],
  update: ["allowUpdate", "allowWrite", "allow"],
  delete: ["allowDelete", "allowWrite", "allow"],
};

const NO_PARTS: readonly PolicyPart[] = [];
const NONE: ReadonlySet<string> = new Set();
const NO_FIELDS: ReadonlyMap<string, Expr> = new Map();

/**
 * The app's compiled policies: one condition for each entity and access, and one for each action
 * that a policy names.
 */
export class PolicySet {
  readonly #rules: ReadonlyMap<string, Expr>;
  readonly #actions: ReadonlyMap<string, Expr>;
  readonly #fields: FieldPolicies;
  readonly #parts: ReadonlyMap<string, readonly PolicyPart[]>;
  readonly #readers = new Map<string, RuleReader[]>();
  readonly #dependents = new Map<string, Set<string>>();

  /**
   * @param rules by `Entity.access`
   * @param actions by the name of the action
   * @param fields the additional conditions of single fields
   * @param parts the conditions of the individual policies, by `Entity.access`, and of single
   *   fields, by `Entity.access.field`
   */
  constructor(
    rules: ReadonlyMap<string, Expr>,
    entities: Iterable<string>,
    actions: ReadonlyMap<string, Expr> = new Map(),
    fields: FieldPolicies = new Map(),
    parts: ReadonlyMap<string, readonly PolicyPart[]> = new Map(),
  ) {
    this.#parts = parts;
    this.#rules = rules;
    this.#actions = actions;
    this.#fields = fields;
    for (const entity of entities) {
      for (const node of nodesOf(this.rule(entity, "read"))) {
        if (node.kind !== "exists") continue;
        const readers = this.#readers.get(node.entity) ?? [];
        this.#readers.set(node.entity, [...readers, { entity, exists: node }]);
        const dependents = this.#dependents.get(node.entity) ?? new Set();
        this.#dependents.set(node.entity, dependents.add(entity));
      }
    }
  }

  /** The condition of an access. FALSE for an entity that is closed. */
  rule(entity: string, access: Access): Expr {
    return this.#rules.get(`${entity}.${access}`) ?? FALSE;
  }

  /** The conditions of the individual policies for the access. */
  partsOf(entity: string, access: Access): readonly PolicyPart[] {
    return this.#parts.get(`${entity}.${access}`) ?? NO_PARTS;
  }

  /** The conditions of the individual policies for the access to one field. */
  fieldPartsOf(entity: string, access: FieldAccess, field: string): readonly PolicyPart[] {
    return this.#parts.get(`${fieldsKey(entity, access)}.${field}`) ?? NO_PARTS;
  }

  /**
   * The condition on `auth` and `input` for calling the action. TRUE for an action that no policy
   * names.
   */
  actionRule(name: string): Expr {
    return this.#actions.get(name) ?? TRUE;
  }

  /** The additional conditions, for each field of the entity that has a policy. */
  fieldRules(entity: string, access: FieldAccess): ReadonlyMap<string, Expr> {
    return this.#fields.get(fieldsKey(entity, access)) ?? NO_FIELDS;
  }

  /**
   * The read rules that read rows of `entity`: when such a row changes, rows of theirs may become
   * visible or invisible.
   */
  readersOf(entity: string): readonly RuleReader[] {
    return this.#readers.get(entity) ?? [];
  }

  /** The entities whose read rules read rows of `entity`, each once. */
  dependentsOf(entity: string): ReadonlySet<string> {
    return this.#dependents.get(entity) ?? NONE;
  }
}

/**
 * Compiles the policies of a valid manifest.
 *
 * An access that no policy defines is open in dev mode and in an app with `access: "public"`,
 * otherwise closed; unless the app has `access: "public"`, it is reported with a warning.
 */
export function compilePolicies(
  manifest: Manifest,
  schema: SchemaShape,
  options: { readonly dev: boolean },
): { policies: PolicySet; diagnostics: Diagnostic[] } {
  const compiler = new PolicyCompiler(schema);
  const parts = new Map<string, PolicyPart[]>();
  for (const [index, { restrict, fields: _fields, ...policy }] of manifest.policies.entries()) {
    for (const access of ACCESSES) {
      if (policy.entity === undefined) continue;
      const expr = compiler.compile({
        label: labelOf(policy),
        texts: { ...policy },
        keys: TEXTS[access],
        scope: { entity: policy.entity, roots: ROOTS[access] },
        at: `policies[${index}]`,
      });
      if (expr === undefined) continue;
      const key = `${policy.entity}.${access}`;
      const isLimit = restrict === true;
      const text = TEXTS[access].map((name) => policy[name]?.trim()).find((said) => said) ?? "";
      const part = { name: policy.name, text, isLimit, expr };
      parts.set(key, [...(parts.get(key) ?? []), part]);
    }
  }
  const isOpen = options.dev || manifest.access === "public";
  const actions = compileActions(manifest, compiler, isOpen, options.dev);
  const fields = compileFieldPolicies(manifest, schema, compiler, parts);
  const rules = new Map<string, Expr>();
  for (const { name } of manifest.entities) {
    const undefinedAccesses = ACCESSES.filter(
      (access) => !(parts.get(`${name}.${access}`) ?? []).some(({ isLimit }) => !isLimit),
    );
    for (const access of ACCESSES) {
      const key = `${name}.${access}`;
      const said = (parts.get(key) ?? []).map(({ expr }) => expr);
      rules.set(key, and(isOpen || !undefinedAccesses.includes(access) ? TRUE : FALSE, ...said));
    }
    if (readsOnlyOld(rules.get(`${name}.update`) ?? FALSE))
      compiler.diagnostics.push(onlyOld(name));
    const update = fields.get(fieldsKey(name, "update")) ?? NO_FIELDS;
    const updates = [rules.get(`${name}.update`) ?? FALSE, ...update.values()];
    const read = fields.get(fieldsKey(name, "read")) ?? NO_FIELDS;
    compiler.diagnostics.push(...revealedFields({ entity: name, updates, read, update }));
    if (undefinedAccesses.length > 0 && manifest.access !== "public")
      compiler.diagnostics.push(missingPolicy(name, undefinedAccesses, options.dev));
  }
  return {
    policies: new PolicySet(
      rules,
      manifest.entities.map(({ name }) => name),
      actions,
      fields,
      parts,
    ),
    diagnostics: compiler.diagnostics,
  };
}

/**
 * Every policy that names the action must allow the call. A policy that names the action without a
 * condition does not define access, as for an entity.
 */
function compileActions(
  manifest: Manifest,
  compiler: PolicyCompiler,
  isOpen: boolean,
  dev: boolean,
): Map<string, Expr> {
  const parts = new Map<string, Expr[]>();
  for (const [
    index,
    { restrict: _restrict, fields: _fields, ...policy },
  ] of manifest.policies.entries()) {
    if (policy.action === undefined) continue;
    const expr = compiler.compile({
      label: labelOf(policy),
      texts: { ...policy },
      keys: ["allow"],
      scope: { roots: ["input"] },
      at: `policies[${index}]`,
    });
    parts.set(policy.action, [
      ...(parts.get(policy.action) ?? []),
      ...(expr === undefined ? [] : [expr]),
    ]);
  }
  const undefinedActions = [...parts.keys()].filter((action) => parts.get(action)?.length === 0);
  if (manifest.access !== "public")
    compiler.diagnostics.push(
      ...undefinedActions.map((action) => missingActionPolicy(action, dev)),
    );
  return new Map(
    [...parts].map(([action, exprs]) => [
      action,
      exprs.length > 0 ? and(...exprs) : isOpen ? TRUE : FALSE,
    ]),
  );
}

function labelOf({ name }: ManifestPolicy): string {
  return `The policy "${name}"`;
}

/**
 * Whether the rule reads the row before the update and does not check the row after it. An id never
 * changes, so `old.id` is equivalent to `data.id`.
 */
function readsOnlyOld(update: Expr): boolean {
  const old = pathsOf(update, "old");
  old.delete("id");
  return old.size > 0 && pathsOf(update, "data").size === 0;
}

/**
 * The insert rule is not added to the update rule: apps let only functions insert, let moderators
 * edit rows that they could not have inserted, and let owners transfer rows.
 */
function onlyOld(entity: string): Diagnostic {
  return {
    severity: "warning",
    code: "POLICY_UPDATE_OLD_ONLY",
    message:
      `The update policy of ${entity} checks only old., so an update may write any values, ` +
      "even values that may not be inserted.",
    path: `entities.${entity}`,
    hint:
      "Also check the new row, as in data.channelId == old.channelId, or use data. " +
      "instead of old.: it is checked before and after the update.",
  };
}

function missingPolicy(entity: string, accesses: readonly Access[], dev: boolean): Diagnostic {
  const what =
    accesses.length === ACCESSES.length
      ? `No policy applies to ${entity}`
      : `No policy defines who may ${accesses.join(", ")} ${entity}`;
  return {
    severity: "warning",
    code: "POLICY_MISSING",
    message: dev
      ? `${what}: open to everyone in dev mode, closed outside of it.`
      : `${what}: closed.`,
    path: `entities.${entity}`,
    hint:
      `Add policy({name: "...", entity: "${entity}", allow: "..."}), ` +
      'or access: "public" to the manifest.',
  };
}

function missingActionPolicy(action: string, dev: boolean): Diagnostic {
  const state = dev ? "open to everyone in dev mode, closed outside of it" : "closed";
  return {
    severity: "warning",
    code: "POLICY_MISSING",
    message: `The policies of the action ${action} have no condition: it is ${state}.`,
    path: `actions.${action}`,
    hint: `Write allow: "..." in the policy that names ${action}.`,
  };
}
