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

/** The texts that an app wrote for an access, and their location. */
export interface PolicySource {
  /** The name used in messages, as in `The policy "own"`. */
  readonly label: string;
  /** The texts, by key. */
  readonly texts: Readonly<Record<string, string | undefined>>;
  /** The keys that may define this access; the first one that is set applies. */
  readonly keys: readonly string[];
  /** The names that the policy may use. */
  readonly scope: Omit<PolicyScope, "schema">;
  /** The location in the manifest, as in `policies[0]`. */
  readonly at: string;
}

/** Compiles the policies of an app, and collects the errors in them. */
export class PolicyCompiler {
  readonly diagnostics: Diagnostic[] = [];
  readonly #schema: SchemaShape;
  readonly #reported = new Set<string>();

  constructor(schema: SchemaShape) {
    this.#schema = schema;
  }

  /** @returns undefined if no text defines this access; FALSE if the text is invalid */
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

  /** One text may define several accesses: its problems are reported once. */
  #report(diagnostic: Diagnostic): void {
    const key = `${diagnostic.path ?? ""} ${diagnostic.message}`;
    if (this.#reported.has(key)) return;
    this.#reported.add(key);
    this.diagnostics.push(diagnostic);
  }
}
