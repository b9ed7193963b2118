import type { CompareOp, EntityShape, Expr, SchemaShape } from "@pylonsync/query";
import type { Value } from "../store.ts";
import type { Dialect } from "./dialect.ts";

/** SQL text and its parameters. What users sent is only ever in the parameters. */
export interface Sql {
  readonly text: string;
  readonly params: Value[];
}

const NEGATED: Record<CompareOp, string> = { "==": "=", "!=": "=", "<": "<", "<=": "<=", ">": ">", ">=": ">=" };

/**
 * Compiles a predicate tree to a condition.
 *
 * Where a condition must hold, SQL's NULL counts as false, so a plain `a = ?` will do and indexes can be used. Where it must not hold, the
 * negation is pushed down to the leaves, and each leaf says that it is not true.
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

  /** @param data the table that `data` paths read; absent when there are none */
  condition(expr: Expr, data: TableScope | undefined, related?: TableScope): string {
    return this.#condition(expr, { data, related }, true);
  }

  column(table: TableScope, field: string): string {
    if (!table.shape.fields.has(field)) throw new Error(`${table.shape.name} has no field ${field}.`);
    return `${table.alias}.${quoteName(field)}`;
  }

  parameter(value: Value): string {
    this.params.push(value);
    return this.#dialect.parameter(this.params.length);
  }

  #condition(expr: Expr, scope: Scope, holds: boolean): string {
    switch (expr.kind) {
      case "and":
      case "or": {
        const joint = (expr.kind === "and") === holds ? " AND " : " OR ";
        return `(${expr.items.map((item) => this.#condition(item, scope, holds)).join(joint)})`;
      }
      case "not":
        return this.#condition(expr.item, scope, !holds);
      case "literal":
        return (expr.value === true) === holds ? "(1 = 1)" : "(1 = 0)";
      case "compare":
        return this.#compare(expr.op, expr.left, expr.right, scope, holds);
      case "in":
        return this.#membership(expr.item, expr.list, scope, holds);
      case "contains":
        return truth(this.#dialect.contains(this.#operand(expr.text, scope), this.#operand(expr.part, scope)), holds);
      case "startsWith":
        return this.#startsWith(expr.text, expr.prefix, scope, holds);
      case "exists":
        return `${holds ? "" : "NOT "}EXISTS (${this.#subquery(expr.entity, expr.where, scope)})`;
      case "path":
        return truth(`(${this.#operand(expr, scope)} = ${this.parameter(true)})`, holds);
      default:
        throw new Error(`A ${expr.kind} is no condition.`);
    }
  }

  #compare(op: CompareOp, left: Expr, right: Expr, scope: Scope, holds: boolean): string {
    const positive = (op === "!=") !== holds;
    const nullSide = isNull(right) ? left : isNull(left) ? right : undefined;
    if (nullSide !== undefined && (op === "==" || op === "!=")) {
      return `(${this.#operand(nullSide, scope)} IS ${positive ? "" : "NOT "}NULL)`;
    }
    return truth(`(${this.#operand(left, scope)} ${NEGATED[op]} ${this.#operand(right, scope)})`, positive);
  }

  #membership(item: Expr, list: Expr, scope: Scope, holds: boolean): string {
    if (list.kind !== "list") throw new Error("A list must be bound before it gets to the database.");
    if (list.items.length === 0) return holds ? "(1 = 0)" : "(1 = 1)";
    const values = list.items.filter((entry) => !isNull(entry));
    const tests: string[] = [];
    if (values.length < list.items.length) tests.push(`(${this.#operand(item, scope)} IS NULL)`);
    if (values.length > 0) tests.push(`(${this.#operand(item, scope)} IN (${values.map((value) => this.#operand(value, scope)).join(", ")}))`);
    return truth(tests.length === 1 ? (tests[0] ?? "") : `(${tests.join(" OR ")})`, holds);
  }

  #startsWith(text: Expr, prefix: Expr, scope: Scope, holds: boolean): string {
    const column = this.#operand(text, scope);
    // The prefix stands twice in SQLite's form, so it is compiled twice where it is a parameter.
    const once = this.#dialect.startsWith(column, "\u0000");
    return truth(once.replaceAll("\u0000", () => this.#operand(prefix, scope)), holds);
  }

  #subquery(entity: string, where: Expr, scope: Scope): string {
    const shape = this.#schema.get(entity);
    if (shape === undefined) throw new Error(`No table is named ${entity}.`);
    const table = { shape, alias: `t${(this.#aliases += 1)}` };
    return `SELECT 1 FROM ${quoteName(entity)} AS ${table.alias} WHERE ${this.#condition(where, { data: scope.data, related: table }, true)}`;
  }

  #operand(expr: Expr, scope: Scope): string {
    switch (expr.kind) {
      case "literal":
        return this.parameter(expr.value);
      case "path": {
        const table = expr.root === "data" ? scope.data : expr.root === "related" ? scope.related : undefined;
        if (table === undefined) throw new Error(`${expr.root}.${expr.name} is not bound.`);
        return this.column(table, expr.name);
      }
      default:
        throw new Error(`A ${expr.kind} can't be compared in the database.`);
    }
  }
}

/** A table under the name that the query gives it. */
export interface TableScope {
  readonly shape: EntityShape;
  readonly alias: string;
}

interface Scope {
  readonly data: TableScope | undefined;
  readonly related: TableScope | undefined;
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function truth(condition: string, holds: boolean): string {
  return holds ? condition : `(${condition} IS NOT TRUE)`;
}

function isNull(expr: Expr): boolean {
  return expr.kind === "literal" && expr.value === null;
}
