import {
  checkPolicy,
  FALSE,
  normaliseLiterals,
  parsePolicy,
  QuerySyntaxError,
  type Expr,
  type PolicyScope,
  type SchemaShape,
} from "@pylonsync/query";
import { errorAt, type Diagnostic } from "../schema/diagnostic.ts";

/** What an app wrote about an access, and where. */
export interface PolicySource {
  /** What it is called in messages, as in `The policy "own"`. */
  readonly label: string;
  /** What was written, by its keys. */
  readonly texts: Readonly<Record<string, string | undefined>>;
  /** The keys that may speak for this access; the first that says something wins. */
  readonly keys: readonly string[];
  /** What it may name. */
  readonly scope: Omit<PolicyScope, "schema">;
  /** Where it is in the manifest, as in `policies[0]`. */
  readonly at: string;
}

/** Compiles what an app wrote, and gathers what is wrong with it. */
export class PolicyCompiler {
  readonly diagnostics: Diagnostic[] = [];
  readonly #schema: SchemaShape;
  readonly #reported = new Set<string>();

  constructor(schema: SchemaShape) {
    this.#schema = schema;
  }

  /** @returns undefined when nothing is said about this access; FALSE when what is said is wrong */
  compile({ label, texts, keys, scope: named, at }: PolicySource): Expr | undefined {
    const key = keys.find((candidate) => (texts[candidate] ?? "").trim() !== "");
    const source = key === undefined ? undefined : texts[key];
    if (key === undefined || source === undefined) return undefined;
    const path = `${at}.${key}`;
    try {
      const expr = parsePolicy(source);
      const scope = { ...named, schema: this.#schema };
      const problems = checkPolicy(expr, scope);
      for (const { message, position, hint } of problems) {
        this.#report({
          severity: "error",
          code: "POLICY_INVALID",
          message: `${label} at position ${position}: ${message}`,
          path,
          position,
          hint,
        });
      }
      return problems.length === 0 ? normaliseLiterals(expr, scope) : FALSE;
    } catch (error) {
      if (!(error instanceof QuerySyntaxError)) throw error;
      this.#report({
        ...errorAt("POLICY_SYNTAX", `${label} can't be parsed: ${error.message}`, path),
        position: error.position,
      });
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
