import { and, checkPolicy, FALSE, nodesOf, parsePolicy, QuerySyntaxError, TRUE, type ExistsExpr, type Expr, type Root, type SchemaShape } from "@pylonsync/query";
import type { Manifest, ManifestPolicy } from "@pylonsync/sdk";
import { errorAt, type Diagnostic } from "../schema/diagnostic.ts";

export type Access = "read" | "insert" | "update" | "delete";

/** Another entity's read rule that looks at this one. */
export interface RuleReader {
  readonly entity: string;
  readonly exists: ExistsExpr;
}

const ACCESSES: readonly Access[] = ["read", "insert", "update", "delete"];
const ROOTS: Record<Access, readonly Root[]> = { read: ["data"], insert: ["data"], update: ["data", "old"], delete: ["data"] };
/** The texts of a policy that may speak for an access, the first that says something wins. */
const TEXTS: Record<Access, readonly (keyof ManifestPolicy)[]> = {
  read: ["allowRead", "allow"],
  insert: ["allowInsert", "allowWrite", "allow"],
  update: ["allowUpdate", "allowWrite", "allow"],
  delete: ["allowDelete", "allowWrite", "allow"],
};

/** The app's policies, compiled: for each entity and access one condition. */
export class PolicySet {
  readonly #rules: ReadonlyMap<string, Expr>;
  readonly #readers = new Map<string, RuleReader[]>();

  constructor(rules: ReadonlyMap<string, Expr>, entities: Iterable<string>) {
    this.#rules = rules;
    for (const entity of entities) {
      for (const node of nodesOf(this.rule(entity, "read"))) {
        if (node.kind !== "exists") continue;
        const readers = this.#readers.get(node.entity) ?? [];
        this.#readers.set(node.entity, [...readers, { entity, exists: node }]);
      }
    }
  }

  /** What must hold. FALSE for an entity that is closed. */
  rule(entity: string, access: Access): Expr {
    return this.#rules.get(`${entity}.${access}`) ?? FALSE;
  }

  /** The read rules that look at rows of `entity`: when such a row changes, rows of theirs appear or vanish. */
  readersOf(entity: string): readonly RuleReader[] {
    return this.#readers.get(entity) ?? [];
  }
}

/**
 * Compiles the policies of a valid manifest.
 *
 * An access that no policy speaks for is open in dev mode and to an app that says `access: "public"`, with a warning; else it is closed.
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
      const expr = compiler.compile(policy, access, `policies[${index}]`);
      if (expr === undefined) continue;
      const key = `${policy.entity}.${access}`;
      parts.set(key, [...(parts.get(key) ?? []), expr]);
    }
  }
  const isOpen = options.dev || manifest.access === "public";
  const rules = new Map<string, Expr>();
  for (const { name } of manifest.entities) {
    const silent = ACCESSES.filter((access) => !parts.has(`${name}.${access}`));
    for (const access of ACCESSES) rules.set(`${name}.${access}`, silent.includes(access) ? (isOpen ? TRUE : FALSE) : and(...(parts.get(`${name}.${access}`) ?? [])));
    if (silent.length > 0 && manifest.access !== "public") compiler.diagnostics.push(silence(name, silent, options.dev));
  }
  return { policies: new PolicySet(rules, manifest.entities.map(({ name }) => name)), diagnostics: compiler.diagnostics };
}

class PolicyCompiler {
  readonly diagnostics: Diagnostic[] = [];
  readonly #schema: SchemaShape;
  readonly #reported = new Set<string>();

  constructor(schema: SchemaShape) {
    this.#schema = schema;
  }

  /** @returns undefined when the policy says nothing about this access */
  compile(policy: ManifestPolicy, access: Access, at: string): Expr | undefined {
    const key = TEXTS[access].find((candidate) => (policy[candidate] ?? "").trim() !== "");
    const source = key === undefined ? undefined : policy[key];
    if (key === undefined || source === undefined) return undefined;
    const path = `${at}.${key}`;
    try {
      const expr = parsePolicy(source);
      for (const { message, position, hint } of checkPolicy(expr, { schema: this.#schema, entity: policy.entity, roots: ROOTS[access] })) {
        this.#report({ severity: "error", code: "POLICY_INVALID", message: `The policy "${policy.name}" at position ${position}: ${message}`, path, position, hint });
      }
      return expr;
    } catch (error) {
      if (!(error instanceof QuerySyntaxError)) throw error;
      this.#report({ ...errorAt("POLICY_SYNTAX", `The policy "${policy.name}" does not parse: ${error.message}`, path), position: error.position });
      return FALSE;
    }
  }

  /** One text may speak for several accesses: its problems are told once. */
  #report(diagnostic: Diagnostic): void {
    const key = `${diagnostic.path ?? ""} ${diagnostic.message}`;
    if (this.#reported.has(key)) return;
    this.#reported.add(key);
    this.diagnostics.push(diagnostic);
  }
}

function silence(entity: string, accesses: readonly Access[], dev: boolean): Diagnostic {
  const what = accesses.length === ACCESSES.length ? `No policy names ${entity}` : `No policy says who may ${accesses.join(", ")} ${entity}`;
  return {
    severity: "warning",
    code: "POLICY_MISSING",
    message: dev ? `${what}: open to everyone in dev mode, closed outside of it.` : `${what}: closed.`,
    path: `entities.${entity}`,
    hint: `Add policy({name: "...", entity: "${entity}", allow: "..."}), or access: "public" to the manifest.`,
  };
}
