import {
  compilePredicate,
  isNestedKind,
  literal,
  textTest,
  type CompareExpr,
  type CompareOp,
  type ContainsFoldedExpr,
  type EntityShape,
  type Expr,
  type FieldKind,
  type HasExpr,
  type HasRelatedExpr,
  type OuterExpr,
  type PathExpr,
  type Scalar,
  type SchemaShape,
} from "@pylonsync/query";
import type { RelatedRow, Value } from "../store.ts";
import type { Dialect } from "./dialect.ts";
import type { MemberType } from "./json-members.ts";
import { quote } from "./quote.ts";
import {
  classOf,
  intComparison,
  isStorable,
  literalFor,
  mirrored,
  padded,
  textComparison,
} from "./operands.ts";

/** SQL text and its parameters. Input of users is only ever in the parameters. */
export interface Sql {
  readonly text: string;
  readonly params: Value[];
}

const NEGATED: Record<CompareOp, string> = {
  "==": "=",
  "!=": "=",
  "<": "<",
  "<=": "<=",
  ">": ">",
  ">=": ">=",
};

/**
 * Compiles a predicate tree to a condition.
 *
 * Where a condition must hold, SQL's NULL counts as false, so a plain `a = ?` is sufficient and
 * indexes can be used. Where it must not hold, the negation is pushed down to the leaves, and each
 * leaf tests that it is not true.
 */
export class WhereCompiler {
  readonly params: Value[] = [];
  readonly #schema: SchemaShape;
  readonly #dialect: Dialect;
  #aliases = 0;

  constructor(schema: SchemaShape, dialect: Dialect) {
    this.#schema = schema;
    this.#dialect = dialect;
  }

  /** @param data the table that `data` paths read; undefined if there are none */
  condition(expr: Expr, data: TableScope | undefined, related?: TableScope): string {
    return this.#condition(expr, { data, related, outer: [] }, true);
  }

  column(table: TableScope, field: string): string {
    if (!table.shape.fields.has(field))
      throw new Error(`${table.shape.name} has no field ${field}.`);
    return `${table.alias}.${quote(field)}`;
  }

  /**
   * A value of the related row: null if there is none, or if it does not meet the condition.
   *
   * @param shown the value of a column in the form of a result
   */
  relatedValue(
    { entity, key, where }: RelatedRow,
    field: string,
    table: TableScope,
    shown: (column: string, kind: FieldKind) => string,
  ): string {
    const shape = this.#schema.get(entity);
    const kind = shape?.fields.get(field);
    if (shape === undefined || kind === undefined)
      throw new Error(`${entity} has no field ${field}.`);
    const other = { shape, alias: `t${(this.#aliases += 1)}` };
    const value = shown(this.column(other, field), kind);
    const found = `${this.column(other, "id")} = ${this.column(table, key)}`;
    const condition = this.condition(where, other);
    const from = `${quote(entity)} AS ${other.alias}`;
    return `(SELECT ${value} FROM ${from} WHERE ${found} AND ${condition})`;
  }

  parameter(value: Value): string {
    this.params.push(value);
    return this.#dialect.parameter(this.params.length);
  }

  #condition(expr: Expr, scope: Scope, holds: boolean): string {
    switch (expr.kind) {
      case "and":
      case "or": {
        if (expr.items.length === 0) return constant((expr.kind === "and") === holds);
        const joint = (expr.kind === "and") === holds ? " AND " : " OR ";
        return `(${expr.items.map((item) => this.#condition(item, scope, holds)).join(joint)})`;
      }
      case "not":
        return this.#condition(expr.item, scope, !holds);
      case "literal":
        return constant((expr.value === true) === holds);
      case "compare":
        return this.#compare(expr, scope, holds);
      case "in":
        return this.#membership(expr.item, expr.list, scope, holds);
      case "contains":
        return this.#contains(expr.text, expr.part, scope, holds);
      case "startsWith":
        return this.#endOfText("startsWith", expr.text, expr.prefix, scope, holds);
      case "endsWith":
        return this.#endOfText("endsWith", expr.text, expr.suffix, scope, holds);
      case "containsFolded":
        return this.#containsFolded(expr, scope, holds);
      case "has":
        return this.#has(expr, scope, holds);
      case "exists":
        return `${holds ? "" : "NOT "}EXISTS (${this.#subquery(expr.entity, expr.where, scope)})`;
      case "hasRelated":
        return this.#hasRelated(expr, scope, holds);
      case "path":
      case "outer":
        if (this.#kindOf(expr, scope) !== "bool") return constant(!holds);
        return truth(`(${this.#operand(expr, scope)} = ${this.parameter(true)})`, holds);
      default:
        throw new Error(`A ${expr.kind} is not a condition.`);
    }
  }

  #compare(expr: CompareExpr, scope: Scope, holds: boolean): string {
    const { op, left, right } = expr;
    if (left.kind === "literal" && right.kind !== "literal")
      return this.#compare({ ...expr, op: mirrored(op), left: right, right: left }, scope, holds);
    const isEquality = op === "==" || op === "!=";
    const positive = (op === "!=") !== holds;
    if (isEquality && isNull(right) && left.kind !== "literal")
      return `(${this.#operand(left, scope, "any")} IS ${positive ? "" : "NOT "}NULL)`;
    if (left.kind === "literal" && right.kind === "literal")
      return constant(compilePredicate(expr)({}) === holds);
    const kind = this.#kindOf(left, scope, right);
    if (right.kind !== "literal") {
      if (classOf(kind) !== classOf(this.#kindOf(right, scope))) return constant(!positive);
      return truth(
        `(${this.#operand(left, scope)} ${NEGATED[op]} ${this.#operand(right, scope)})`,
        positive,
      );
    }
    if (classOf(kind) === "text" && typeof right.value === "string") {
      const text = textComparison(op, right.value);
      if (text === undefined) return constant(!positive);
      return truth(
        `(${this.#operand(left, scope)} ${NEGATED[text.op]} ${this.parameter(text.value)})`,
        positive,
      );
    }
    const found = literalFor(kind, right);
    if (found === undefined || (!isEquality && kind === "bool")) return constant(!positive);
    const asked =
      kind === "int" && typeof found.value === "number"
        ? intComparison(op, found.value)
        : { op, value: found.value };
    if (asked === undefined) return constant(!positive);
    return truth(
      `(${this.#operand(left, scope, memberType(kind))} ${NEGATED[asked.op]} ` +
        `${this.#stored(kind, asked.value)})`,
      positive,
    );
  }

  #membership(item: Expr, list: Expr, scope: Scope, holds: boolean): string {
    if (list.kind !== "list")
      throw new Error("A list must be bound before it gets to the database.");
    const asksNull = list.items.some(isNull);
    if (isNull(item)) return constant(asksNull === holds);
    const tests: string[] = [];
    if (asksNull && item.kind !== "literal") tests.push(`(${this.#operand(item, scope)} IS NULL)`);
    const known = list.items.filter((entry) => entry.kind === "literal");
    const others = list.items.filter((entry) => entry.kind !== "literal");
    if (item.kind === "literal") {
      if (known.some(({ value }) => value === item.value)) return constant(holds);
    } else {
      const kind = this.#kindOf(item, scope, known[0]);
      const values = known
        .flatMap((entry) => literalFor(kind, entry) ?? [])
        .filter(({ value }) => kind !== "int" || Number.isSafeInteger(value));
      // The item comes first in the text, so its parameters must come first, too.
      if (values.length > 0)
        tests.push(
          `(${this.#operand(item, scope, memberType(kind))} IN (${padded(values)
            .map(({ value }) => this.#stored(kind, value))
            .join(", ")}))`,
        );
    }
    for (const other of others)
      tests.push(
        this.#compare({ kind: "compare", op: "==", left: item, right: other }, scope, true),
      );
    if (tests.length === 0) return constant(!holds);
    return truth(tests.length === 1 ? (tests[0] ?? "") : `(${tests.join(" OR ")})`, holds);
  }

  #contains(text: Expr, part: Expr, scope: Scope, holds: boolean): string {
    if (!this.#areTexts(text, part, scope)) return constant(!holds);
    if (text.kind === "literal" && part.kind === "literal")
      return constant(compilePredicate({ kind: "contains", text, part })({}) === holds);
    return truth(
      this.#dialect.contains(this.#operand(text, scope), this.#operand(part, scope)),
      holds,
    );
  }

  #endOfText(
    how: "startsWith" | "endsWith",
    text: Expr,
    part: Expr,
    scope: Scope,
    holds: boolean,
  ): string {
    if (!this.#areTexts(text, part, scope)) return constant(!holds);
    if (text.kind === "literal" && part.kind === "literal")
      return constant(textTest(text.value, part.value, how) === holds);
    // SQLite's form contains them several times: parameters are added in the order of the text.
    const form = this.#dialect[how]("{text}", "{part}");
    return truth(
      form.replaceAll(/\{text\}|\{part\}/g, (mark) =>
        this.#operand(mark === "{text}" ? text : part, scope),
      ),
      holds,
    );
  }

  #containsFolded(expr: ContainsFoldedExpr, scope: Scope, holds: boolean): string {
    const { text, part } = expr;
    if (!isStorable(part) || !this.#areTexts(text, text, scope)) return constant(!holds);
    if (text.kind === "literal") return constant(compilePredicate(expr)({}) === holds);
    const { containsFolded } = this.#dialect;
    const operand = this.#operand(text, scope);
    return truth(containsFolded.test(operand, this.parameter(containsFolded.pattern(part))), holds);
  }

  #has({ list, items }: HasExpr, scope: Scope, holds: boolean): string {
    const [first] = items;
    const { of, steps } = list.kind === "member" ? list : { of: list, steps: [] };
    if (of.kind !== "path" || first === undefined) return constant(!holds);
    const kind = kindOfValue(first);
    const values = items
      .flatMap((value) => literalFor(kind, literal(value)) ?? [])
      .map(({ value }) => value);
    if (values.length === 0 || !isNestedKind(this.#kindOf(of, scope))) return constant(!holds);
    const has = this.#dialect.json.has(
      this.#operand(of, scope),
      steps,
      memberType(kind),
      padded(values),
      (value) => this.parameter(value),
    );
    return holds ? has : `NOT ${has}`;
  }

  #subquery(entity: string, where: Expr, scope: Scope): string {
    const shape = this.#schema.get(entity);
    if (shape === undefined) throw new Error(`No table is named ${entity}.`);
    const table = { shape, alias: `t${(this.#aliases += 1)}` };
    const outer = [scope.related, ...scope.outer];
    const condition = this.#condition(where, { data: scope.data, related: table, outer }, true);
    return `SELECT 1 FROM ${quote(entity)} AS ${table.alias} WHERE ${condition}`;
  }

  #hasRelated({ entity, field, key, where }: HasRelatedExpr, scope: Scope, holds: boolean): string {
    const shape = this.#schema.get(entity);
    if (shape === undefined) throw new Error(`No table is named ${entity}.`);
    const table = { shape, alias: `t${(this.#aliases += 1)}` };
    const column = this.column(table, field);
    if (!this.#areTexts(key, key, scope) || classOf(shape.fields.get(field) ?? "bool") !== "text")
      return constant(!holds);
    const found = `${column} = ${this.#operand(key, scope)}`;
    const condition = this.#condition(where, { data: table, related: undefined, outer: [] }, true);
    return (
      `${holds ? "" : "NOT "}EXISTS (SELECT 1 FROM ${quote(entity)} AS ${table.alias} ` +
      `WHERE ${found} AND ${condition})`
    );
  }

  #areTexts(a: Expr, b: Expr, scope: Scope): boolean {
    return [a, b].every((expr) =>
      expr.kind === "literal"
        ? typeof expr.value === "string" && isStorable(expr.value)
        : classOf(this.#kindOf(expr, scope)) === "text",
    );
  }

  /** A value in the form in which a column of this kind stores it. */
  #stored(kind: FieldKind, value: Value): string {
    return this.parameter(
      kind === "decimal" && typeof value === "string" ? this.#dialect.decimal(value) : value,
    );
  }

  /**
   * The kind of an operand that is not a literal: a column, or a condition in parentheses. A value
   * inside of a json has the kind of what it is compared with.
   */
  #kindOf(expr: Expr, scope: Scope, other?: Expr): FieldKind {
    if (expr.kind === "member")
      return kindOfValue(other?.kind === "literal" ? other.value : "a text");
    if (expr.kind !== "path" && expr.kind !== "outer") return "bool";
    const { shape } = tableOf(expr, scope);
    const kind = shape.fields.get(expr.name);
    if (kind === undefined) throw new Error(`${shape.name} has no field ${expr.name}.`);
    return kind;
  }

  /** @param type the type as which a value inside of a json is read */
  #operand(expr: Expr, scope: Scope, type: MemberType = "text"): string {
    switch (expr.kind) {
      case "literal":
        return this.parameter(expr.value);
      case "path":
      case "outer":
        return this.column(tableOf(expr, scope), expr.name);
      case "member":
        return this.#dialect.json.member(this.#operand(expr.of, scope), expr.steps, type, (value) =>
          this.parameter(value),
        );
      case "now":
      case "list":
        throw new Error(`A ${expr.kind} must be bound before it gets to the database.`);
      default:
        return `(${this.#condition(expr, scope, true)} IS TRUE)`;
    }
  }
}

/** A table and its alias in the query. */
export interface TableScope {
  readonly shape: EntityShape;
  readonly alias: string;
}

interface Scope {
  readonly data: TableScope | undefined;
  readonly related: TableScope | undefined;
  /** The tables of the `exists` around the innermost one, from the inside out. */
  readonly outer: readonly (TableScope | undefined)[];
}

function tableOf(expr: PathExpr | OuterExpr, scope: Scope): TableScope {
  const table =
    expr.kind === "outer"
      ? scope.outer[expr.up - 1]
      : expr.root === "data"
        ? scope.data
        : expr.root === "related"
          ? scope.related
          : undefined;
  if (table === undefined)
    throw new Error(`${expr.kind === "path" ? expr.root : "outer"}.${expr.name} is not bound.`);
  return table;
}

/** The kind of a value that is compared with one of any kind. */
function kindOfValue(value: Scalar): "string" | "float" | "bool" {
  return typeof value === "number" ? "float" : typeof value === "boolean" ? "bool" : "string";
}

/** The type as which a value of the kind is read from inside of a json. */
export function memberType(kind: FieldKind): Exclude<MemberType, "any"> {
  const type = classOf(kind);
  return type === "number" || type === "bool" ? type : "text";
}

function constant(holds: boolean): string {
  return holds ? "(1 = 1)" : "(1 = 0)";
}

function truth(condition: string, holds: boolean): string {
  return holds ? condition : `(${condition} IS NOT TRUE)`;
}

function isNull(expr: Expr): boolean {
  return expr.kind === "literal" && expr.value === null;
}
