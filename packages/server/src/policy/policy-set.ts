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
import { PolicyCompiler } from "./policy-compiler.ts";

/** What a caller may be allowed to do with a row. */
export type Access = "read" | "insert" | "update" | "delete";

type PolicyText = Exclude<keyof ManifestPolicy, "name" | "entity" | "action">;

/** Another entity's read rule that looks at this one. */
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
/** The texts of a policy that may speak for an access, the first that says something wins. */
const TEXTS: Record<Access, readonly PolicyText[]> = {
  read: ["allowRead", "allow"],
  insert: ["allowInsert", "allowWrite", "allow"],
  update: ["allowUpdate", "allowWrite", "allow"],
  delete: ["allowDelete", "allowWrite", "allow"],
};

const NONE: ReadonlySet<string> = new Set();

/**
 * The app's policies, compiled: for each entity and access one condition, and one for each action
 * that a policy names.
 */
export class PolicySet {
  readonly #rules: ReadonlyMap<string, Expr>;
  readonly #actions: ReadonlyMap<string, Expr>;
  readonly #readers = new Map<string, RuleReader[]>();
  readonly #dependents = new Map<string, Set<string>>();

  /**
   * @param rules by `Entity.access`
   * @param actions by the action's name
   */
  constructor(
    rules: ReadonlyMap<string, Expr>,
    entities: Iterable<string>,
    actions: ReadonlyMap<string, Expr> = new Map(),
  ) {
    this.#rules = rules;
    this.#actions = actions;
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

  /**
   * What must hold of `auth` and `input` for the action to be called. TRUE for one that no policy
   * names.
   */
  actionRule(name: string): Expr {
    return this.#actions.get(name) ?? TRUE;
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
  const parts = new Map<string, Expr[]>();
  for (const [index, policy] of manifest.policies.entries()) {
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
      parts.set(key, [...(parts.get(key) ?? []), expr]);
    }
  }
  const isOpen = options.dev || manifest.access === "public";
  const actions = compileActions(manifest, compiler, isOpen, options.dev);
  const rules = new Map<string, Expr>();
  for (const { name } of manifest.entities) {
    const silent = ACCESSES.filter((access) => !parts.has(`${name}.${access}`));
    for (const access of ACCESSES)
      rules.set(
        `${name}.${access}`,
        silent.includes(access)
          ? isOpen
            ? TRUE
            : FALSE
          : and(...(parts.get(`${name}.${access}`) ?? [])),
      );
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
  for (const [index, policy] of manifest.policies.entries()) {
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
      `The update rule of ${entity} reads only old., so an update may make anything of the row, ` +
      "even what nobody may insert.",
    path: `entities.${entity}`,
    hint:
      "Say what must hold of the new row, as in data.channelId == old.channelId, or read data. " +
      "in place of old.: it is checked before and after the update.",
  };
}

function silence(entity: string, accesses: readonly Access[], dev: boolean): Diagnostic {
  const what =
    accesses.length === ACCESSES.length
      ? `No policy names ${entity}`
      : `No policy says who may ${accesses.join(", ")} ${entity}`;
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
    message: `The policies of the action ${action} say nothing: it is ${state}.`,
    path: `actions.${action}`,
    hint: `Write allow: "..." in the policy that names ${action}.`,
  };
}
