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

/** What a caller may be allowed to do with a row. */
export type Access = "read" | "insert" | "update" | "delete";

type PolicyText = Exclude<
  keyof ManifestPolicy,
  "name" | "entity" | "action" | "restrict" | "fields"
>;

/** Another entity's read rule that looks at this one. */
export interface RuleReader {
  readonly entity: string;
  readonly exists: ExistsExpr;
}

/** What one policy says about an access. */
export interface PolicyPart {
  /** The policy's name. */
  readonly name: string;
  /** What it says, as it is written. */
  readonly text: string;
  /** It must hold beside what others allow. */
  readonly isLimit: boolean;
  readonly expr: Expr;
}

const ACCESSES: readonly Access[] = ["read", "insert", "update", "delete"];
const ROOTS: Record<Access, readonly Root[]> = {
  read: ["data"],
  insert: ["data"],
  update: ["data", "old"],
  delete: ["data"],
};
/** The texts of a policy that may speak for an access, the first that says something wins. */
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
 * The app's policies, compiled: for each entity and access one condition, and one for each action
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
   * @param actions by the action's name
   * @param fields what must hold of single fields as well
   * @param parts what each policy says, by `Entity.access`
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

  /** What must hold. FALSE for an entity that is closed. */
  rule(entity: string, access: Access): Expr {
    return this.#rules.get(`${entity}.${access}`) ?? FALSE;
  }

  /** What the policies that speak for the access say, each for itself. */
  partsOf(entity: string, access: Access): readonly PolicyPart[] {
    return this.#parts.get(`${entity}.${access}`) ?? NO_PARTS;
  }

  /**
   * What must hold of `auth` and `input` for the action to be called. TRUE for one that no policy
   * names.
   */
  actionRule(name: string): Expr {
    return this.#actions.get(name) ?? TRUE;
  }

  /** What must hold besides, for each field of the entity that a policy speaks for. */
  fieldRules(entity: string, access: FieldAccess): ReadonlyMap<string, Expr> {
    return this.#fields.get(fieldsKey(entity, access)) ?? NO_FIELDS;
  }

  /**
   * The read rules that look at rows of `entity`: when such a row changes, rows of theirs appear or
   * vanish.
   */
  readersOf(entity: string): readonly RuleReader[] {
    return this.#readers.get(entity) ?? [];
  }

  /** The entities whose read rules look at rows of `entity`, each once. */
  dependentsOf(entity: string): ReadonlySet<string> {
    return this.#dependents.get(entity) ?? NONE;
  }
}

/**
 * Compiles the policies of a valid manifest.
 *
 * An access that no policy speaks for is open in dev mode and to an app that says `access:
 * "public"`, with a warning; else it is closed.
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
  const fields = compileFieldPolicies(manifest, schema, compiler);
  const rules = new Map<string, Expr>();
  for (const { name } of manifest.entities) {
    const silent = ACCESSES.filter(
      (access) => !(parts.get(`${name}.${access}`) ?? []).some(({ isLimit }) => !isLimit),
    );
    for (const access of ACCESSES) {
      const key = `${name}.${access}`;
      const said = (parts.get(key) ?? []).map(({ expr }) => expr);
      rules.set(key, and(isOpen || !silent.includes(access) ? TRUE : FALSE, ...said));
    }
    if (readsOnlyOld(rules.get(`${name}.update`) ?? FALSE))
      compiler.diagnostics.push(onlyOld(name));
    if (silent.length > 0 && manifest.access !== "public")
      compiler.diagnostics.push(silence(name, silent, options.dev));
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
 * Every policy that names the action must allow it. One that names it and says nothing is silent,
 * as for an entity.
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
  const silent = [...parts.keys()].filter((action) => parts.get(action)?.length === 0);
  if (manifest.access !== "public")
    compiler.diagnostics.push(...silent.map((action) => actionSilence(action, dev)));
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
 * Whether the rule looks at the row before the update and says nothing of the row after it. An id
 * never changes, so `old.id` says as much as `data.id`.
 */
function readsOnlyOld(update: Expr): boolean {
  const old = pathsOf(update, "old");
  old.delete("id");
  return old.size > 0 && pathsOf(update, "data").size === 0;
}

/**
 * The insert rule is not added to the update rule: apps let functions alone insert, let moderators
 * edit what they could not have written, and let owners give rows away.
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

function silence(entity: string, accesses: readonly Access[], dev: boolean): Diagnostic {
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

function actionSilence(action: string, dev: boolean): Diagnostic {
  const state = dev ? "open to everyone in dev mode, closed outside of it" : "closed";
  return {
    severity: "warning",
    code: "POLICY_MISSING",
    message: `The policies of the action ${action} have no condition: it is ${state}.`,
    path: `actions.${action}`,
    hint: `Write allow: "..." in the policy that names ${action}.`,
  };
}
