import { and, literal, not, or } from "./build.ts";
import { QuerySyntaxError } from "./errors.ts";
import { TRUE, type CompareOp, type Expr, type Root } from "./expr.ts";
import { MAX_NODES } from "./limits.ts";
import { CLAIM_PREFIX } from "./path-value.ts";
import { tokenize, type Token } from "./tokenize.ts";

const WRITTEN_ROOTS: readonly Root[] = ["data", "old", "auth", "input", "room"];
const COMPARE_OPS: readonly CompareOp[] = ["==", "!=", "<", "<=", ">", ">="];
const ROOTS: ReadonlyMap<string, Root> = new Map(WRITTEN_ROOTS.map((root) => [root, root]));
const COMPARISONS: ReadonlyMap<string, CompareOp> = new Map(COMPARE_OPS.map((op) => [op, op]));
const MAX_EXISTS_DEPTH = 3;

/**
 * Parses a policy such as `auth.userId == data.ownerId || auth.hasRole("editor")`.
 *
 * @throws QuerySyntaxError with the position
 */
export function parsePolicy(source: string): Expr {
  return new PolicyParser(source).parse();
}

/** Recursive descent: or, and, not, comparison, operand. */
class PolicyParser {
  readonly #source: string;
  readonly #tokens: readonly Token[];
  #index = 0;
  #nodes = 0;
  /** The names of the rows of the enclosing `exists`, the innermost last. */
  readonly #rows: { readonly entity: string; readonly name: string | undefined }[] = [];

  constructor(source: string) {
    this.#source = source;
    this.#tokens = tokenize(source);
  }

  parse(): Expr {
    const expr = this.#or();
    if (this.#peek().type !== "end") this.#fail(`"${this.#peek().text}" was not expected here`);
    return expr;
  }

  #or(): Expr {
    const items = [this.#and()];
    while (this.#take("||")) items.push(this.#and());
    return or(...items);
  }

  #and(): Expr {
    const items = [this.#not()];
    while (this.#take("&&")) items.push(this.#not());
    return and(...items);
  }

  #not(): Expr {
    this.#count();
    if (!this.#take("!")) return this.#comparison();
    const item = this.#not();
    // `!"x"` is kept as written, so that the check can report the error in it.
    return item.kind === "literal" && typeof item.value !== "boolean"
      ? { kind: "not", item }
      : not(item);
  }

  #comparison(): Expr {
    const left = this.#operand();
    const { text, at, type } = this.#peek();
    const op = type === "symbol" ? COMPARISONS.get(text) : undefined;
    if (op !== undefined) {
      this.#next();
      return { kind: "compare", op, left, right: this.#operand(), at };
    }
    if (this.#take("in")) return { kind: "in", item: left, list: this.#operand(), at };
    if (this.#take("contains")) {
      const part = this.#operand();
      // The caller's lists have members; a text has parts.
      const isList =
        left.kind === "list" ||
        (left.kind === "path" &&
          left.root === "auth" &&
          (left.name === "roles" || left.name === "apiKeyScopes"));
      return isList
        ? { kind: "in", item: part, list: left, at }
        : { kind: "contains", text: left, part, at };
    }
    return left;
  }

  #operand(): Expr {
    this.#count();
    const token = this.#next();
    const { type, text, at } = token;
    if (type === "string") return { ...literal(text), at };
    if (type === "number") return { ...literal(Number(text)), at };
    if (type === "name") return this.#name(token);
    if (text === "(") {
      const expr = this.#or();
      this.#expect(")");
      return expr;
    }
    if (text === "[") return this.#list(at);
    return this.#fail(
      type === "end" ? "The policy ends too early" : `"${text}" was not expected here`,
      at,
    );
  }

  #list(at: number): Expr {
    const items: Expr[] = [];
    if (this.#take("]")) return { kind: "list", items, at };
    do items.push(this.#operand());
    while (this.#take(","));
    this.#expect("]");
    return { kind: "list", items, at };
  }

  #name({ text, at }: Token): Expr {
    if (text === "true" || text === "false") return { ...literal(text === "true"), at };
    if (text === "null") return { ...literal(null), at };
    if (text === "now") {
      this.#expect("(");
      this.#expect(")");
      return { kind: "now", at };
    }
    if (text === "exists") return this.#exists(at);
    const root = ROOTS.get(text);
    if (root !== undefined && this.#take(".")) return this.#member(root, at);
    if (this.#peek().text === ".") return this.#rowField(text, at);
    if (this.#rows.length > 0) return { kind: "path", root: "related", name: text, at };
    return this.#fail(
      `"${text}" is unknown: a policy can read data., auth., old., input. and room.`,
      at,
    );
  }

  #member(root: Root, at: number): Expr {
    const name = this.#expectName();
    if (root === "auth" && (name === "hasRole" || name === "hasAnyRole"))
      return this.#roles(at, name === "hasRole");
    if (root === "auth" && name === "claims") return this.#claim(at);
    if (this.#peek().text === ".")
      this.#fail(
        `"${root}.${name}" has no parts: to look at another row use exists(Entity, ...)`,
        at,
      );
    return { kind: "path", root, name, at };
  }

  #claim(at: number): Expr {
    if (!this.#take(".")) this.#fail("A claim must have a name: auth.claims.plan");
    const name = `${CLAIM_PREFIX}${this.#expectName()}`;
    if (this.#peek().text === ".") this.#fail(`"auth.${name}" has no parts: a claim is one value`);
    return { kind: "path", root: "auth", name, at };
  }

  #roles(at: number, single: boolean): Expr {
    this.#expect("(");
    const checks: Expr[] = [];
    do {
      if (single && checks.length === 1)
        this.#fail("hasRole takes one role; use hasAnyRole for several");
      const role = this.#next();
      if (role.type !== "string") this.#fail("A role must be a string", role.at);
      checks.push({
        kind: "in",
        item: literal(role.text),
        list: { kind: "path", root: "auth", name: "roles", at },
        at,
      });
    } while (this.#take(","));
    this.#expect(")");
    return or(...checks);
  }

  /** A field of the row of an enclosing `exists`, by its name or that of its entity. */
  #rowField(name: string, at: number): Expr {
    const named = this.#rows.flatMap((row, index) =>
      (row.name ?? row.entity) === name ? [index] : [],
    );
    const [index] = named;
    if (index === undefined)
      this.#fail(
        `"${name}." can't be read: write data., old., input., room. or auth., inside exists() a ` +
          "bare name is a field of its own entity, and an outer exists() is named by its entity " +
          "or by exists(Entity as name, ...)",
        at,
      );
    if (named.length > 1)
      this.#fail(
        `Two enclosing exists() look at ${name}: name one exists(${name} as other, ...)`,
        at,
      );
    this.#next();
    const field = this.#expectName();
    const up = this.#rows.length - 1 - index;
    return up === 0
      ? { kind: "path", root: "related", name: field, at }
      : { kind: "outer", up, name: field, at };
  }

  #exists(at: number): Expr {
    this.#expect("(");
    const entity = this.#expectName();
    const name = this.#take("as") ? this.#rowName() : undefined;
    this.#rows.push({ entity, name });
    if (this.#rows.length > MAX_EXISTS_DEPTH)
      this.#fail(`exists() can have at most ${MAX_EXISTS_DEPTH} levels`, at);
    const where = this.#take(",") ? this.#or() : TRUE;
    this.#rows.pop();
    this.#expect(")");
    return { kind: "exists", entity, where, at };
  }

  #rowName(): string {
    const { at } = this.#peek();
    const name = this.#expectName();
    if (ROOTS.has(name)) this.#fail(`"${name}" is reserved: use another name`, at);
    return name;
  }

  #peek(): Token {
    return this.#tokens[this.#index] ?? { type: "end", text: "", at: this.#source.length };
  }

  #next(): Token {
    const token = this.#peek();
    this.#index += 1;
    return token;
  }

  #take(text: string): boolean {
    const token = this.#peek();
    if (token.text !== text || token.type === "string" || token.type === "end") return false;
    this.#index += 1;
    return true;
  }

  #expect(text: string): void {
    const { at, text: got, type } = this.#peek();
    if (!this.#take(text))
      this.#fail(
        `"${text}" was expected${type === "end" ? " before the end" : `, not "${got}"`}`,
        at,
      );
  }

  #expectName(): string {
    const token = this.#next();
    return token.type === "name" ? token.text : this.#fail("A name was expected", token.at);
  }

  #count(): void {
    this.#nodes += 1;
    if (this.#nodes > MAX_NODES) this.#fail(`A policy can have at most ${MAX_NODES} parts`);
  }

  #fail(problem: string, at = this.#peek().at): never {
    throw new QuerySyntaxError(this.#source, at, problem);
  }
}
