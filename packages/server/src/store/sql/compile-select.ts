import {
  isScalarKind,
  isTrue,
  TRUE,
  type EntityShape,
  type Expr,
  type FieldKind,
  type Order,
  type SchemaShape,
} from "@pylonsync/query";
import type { Aggregate, Select } from "../store.ts";
import { MAX_BYTES_PER_UNIT } from "../row-size.ts";
import { quote } from "./quote.ts";
import { WhereCompiler, type Sql, type TableScope } from "./compile-where.ts";
import type { Dialect } from "./dialect.ts";
import { classOf } from "./operands.ts";

const DIRECTIONS = { asc: "ASC NULLS LAST", desc: "DESC NULLS FIRST" } as const;

/** Rows that match, in order. */
export function compileSelect(select: Select, schema: SchemaShape, dialect: Dialect): Sql {
  const compiler = new WhereCompiler(schema, dialect);
  const table = tableOf(select.entity, schema);
  const where = whereTerm(select.where, compiler, table);
  const order = ` ORDER BY ${orderTerms(select.order ?? [], compiler, table)}`;
  const page = pageTerms(select, compiler, dialect);
  const { names, texts, columns } = columnsOf(table, compiler);
  // In SQLite nobody else writes while a transaction does.
  const lock =
    select.isClaim === true && dialect.name === "postgres" ? " FOR UPDATE OF t SKIP LOCKED" : "";
  const from = `${quote(select.entity)} AS t${where}`;
  const text = `SELECT ${columns} FROM ${from}${order}${page}${lock}`;
  return {
    text: endingByBytes(text, names, texts, select.maxBytes, compiler, dialect),
    params: compiler.params,
  };
}

/** The columns of a table, as most reads name them. */
interface Columns {
  readonly names: readonly string[];
  /** Those that may be long. */
  readonly texts: readonly string[];
  readonly columns: string;
}

const KNOWN_COLUMNS = new WeakMap<EntityShape, Columns>();

/** Named one by one: another replica may add a column, and a prepared `*` breaks then. */
function columnsOf(table: TableScope, compiler: WhereCompiler): Columns {
  const { shape } = table;
  let known = KNOWN_COLUMNS.get(shape);
  if (known === undefined) {
    const names = [...shape.fields.keys()];
    known = {
      names,
      texts: names.filter((name) => isText(shape.fields.get(name))),
      columns: names.map((field) => compiler.column(table, field)).join(", "),
    };
    KNOWN_COLUMNS.set(shape, known);
  }
  return known;
}

/** How many match, as `count`. */
export function compileCount(
  entity: string,
  where: Expr | undefined,
  schema: SchemaShape,
  dialect: Dialect,
): Sql {
  const compiler = new WhereCompiler(schema, dialect);
  const condition = whereTerm(where, compiler, tableOf(entity, schema));
  return {
    text: `SELECT ${dialect.count("*")} AS count FROM ${quote(entity)} AS t${condition}`,
    params: compiler.params,
  };
}

/** Whether a tree without free paths holds, as `truth` 1 or 0. */
export function compileTest(expr: Expr, schema: SchemaShape, dialect: Dialect): Sql {
  const compiler = new WhereCompiler(schema, dialect);
  return {
    text: `SELECT CASE WHEN ${compiler.condition(expr, undefined)} THEN 1 ELSE 0 END AS truth`,
    params: compiler.params,
  };
}

/** Deletes what matches. */
export function compileDelete(
  entity: string,
  where: Expr,
  schema: SchemaShape,
  dialect: Dialect,
): Sql {
  const compiler = new WhereCompiler(schema, dialect);
  const condition = compiler.condition(where, tableOf(entity, schema));
  return {
    text: `DELETE FROM ${quote(entity)} AS t WHERE ${condition}`,
    params: compiler.params,
  };
}

/** Measures by group, groups in order of their keys. */
export function compileAggregate(spec: Aggregate, schema: SchemaShape, dialect: Dialect): Sql {
  const compiler = new WhereCompiler(schema, dialect);
  const table = tableOf(spec.entity, schema);
  const groups = spec.groupBy.map(({ field, bucket, as }) => {
    const column = compiler.column(table, field);
    const shown =
      bucket === undefined
        ? dialect.shown(column, table.shape.fields.get(field) ?? "string")
        : dialect.bucket(column, bucket);
    return { shown, as: quote(as) };
  });
  const measures = spec.measures.map(
    ({ fn, field, as }) => `${measure(fn, field, compiler, table, dialect)} AS ${quote(as)}`,
  );
  const columns = [...groups.map(({ shown, as }) => `${shown} AS ${as}`), ...measures].join(", ");
  const where = whereTerm(spec.where, compiler, table);
  const positions = groups.map((_, index) => index + 1);
  const grouping = groups.length === 0 ? "" : ` GROUP BY ${positions.join(", ")}`;
  const having =
    spec.atLeast === undefined ? "" : ` HAVING count(*) >= ${compiler.parameter(spec.atLeast)}`;
  const order = [
    ...(spec.atLeast === undefined ? [] : ["count(*) DESC"]),
    ...positions.map((position) => `${position} NULLS LAST`),
  ].join(", ");
  const grouped = `SELECT ${columns} FROM ${quote(spec.entity)} AS t${where}${grouping}${having}`;
  const ordered =
    spec.having === undefined && spec.order === undefined
      ? `${grouped}${order === "" ? "" : ` ORDER BY ${order}`}`
      : resultsOf(grouped, spec, compiler);
  const page = pageTerms({ entity: spec.entity, limit: spec.limit }, compiler, dialect);
  const text = `${ordered}${page}`;
  const names = [...spec.groupBy, ...spec.measures].map(({ as }) => as);
  const texts = [
    ...spec.groupBy.filter(({ bucket }) => bucket === undefined),
    ...spec.measures.filter(({ fn }) => fn === "min" || fn === "max"),
  ].filter(({ field }) => isText(table.shape.fields.get(field ?? "")));
  return {
    text: endingByBytes(
      text,
      names,
      texts.map(({ as }) => as),
      spec.maxBytes,
      compiler,
      dialect,
    ),
    params: compiler.params,
  };
}

/** The groups that meet `having`, in the order of their results, ties in that of their keys. */
function resultsOf(
  grouped: string,
  { groupBy, measures, having = TRUE, order = [] }: Aggregate,
  compiler: WhereCompiler,
): string {
  const names = [...groupBy, ...measures].map(({ as }) => as);
  const numbers = measures.map(({ as }): [string, FieldKind] => [as, "float"]);
  const table = { shape: { name: "results", fields: new Map(numbers) }, alias: "r" };
  const condition = isTrue(having) ? "" : ` WHERE ${compiler.condition(having, table)}`;
  const terms = [
    ...order.map(({ field, direction }) => `r.${quote(field)} ${DIRECTIONS[direction]}`),
    ...groupBy.map(({ as }) => `r.${quote(as)} ${DIRECTIONS.asc}`),
  ];
  const columns = names.map((name) => `r.${quote(name)}`).join(", ");
  const ordering = terms.length === 0 ? "" : ` ORDER BY ${terms.join(", ")}`;
  return `SELECT ${columns} FROM (${grouped}) AS r${condition}${ordering}`;
}

/** Nothing where every row is wanted. */
function whereTerm(where: Expr | undefined, compiler: WhereCompiler, table: TableScope): string {
  return where === undefined || isTrue(where) ? "" : ` WHERE ${compiler.condition(where, table)}`;
}

/** Whether values of the kind can be of any length. */
function isText(kind: FieldKind | undefined): boolean {
  return kind !== undefined && (classOf(kind) === "text" || !isScalarKind(kind));
}

/**
 * Postgres sends all rows of a statement, so it is told where they end; SQLite is read row by row.
 * Bytes of UTF-8 are counted, at three for a letter: the rows hold at least `maxBytes` by rowSize
 * then, and the reader ends them exactly. The window keeps the order of the rows below it.
 */
function endingByBytes(
  text: string,
  names: readonly string[],
  texts: readonly string[],
  maxBytes: number | undefined,
  compiler: WhereCompiler,
  dialect: Dialect,
): string {
  if (maxBytes === undefined || dialect.name === "sqlite" || texts.length === 0) return text;
  const size = texts.map((name) => `coalesce(octet_length(${quote(name)}::text), 0)`).join(" + ");
  const columns = names.map(quote).join(", ");
  const bound = compiler.parameter(maxBytes * MAX_BYTES_PER_UNIT);
  return (
    `SELECT ${columns} FROM (SELECT *, sum(${size}) OVER (ROWS UNBOUNDED PRECEDING) - (${size}) ` +
    `AS "_bytes_before" FROM (${text}) AS page) AS page WHERE "_bytes_before" < ${bound}`
  );
}

function measure(
  fn: Aggregate["measures"][number]["fn"],
  field: string | undefined,
  compiler: WhereCompiler,
  table: TableScope,
  dialect: Dialect,
): string {
  if (field === undefined) return dialect.count("*");
  const column = compiler.column(table, field);
  if (fn === "count") return dialect.count(column);
  if (fn === "countDistinct") return dialect.count(`DISTINCT ${column}`);
  const kind = table.shape.fields.get(field) ?? "string";
  if (fn === "sum" || fn === "avg") return dialect.total(fn, column, kind);
  return dialect.shown(`${fn}(${column})`, kind);
}

/**
 * Ends in the id, so that the order is the same each time. What comes after the id decides nothing,
 * and an id is never null: said otherwise, a database would sort what an index has in order.
 */
function orderTerms(order: readonly Order[], compiler: WhereCompiler, table: TableScope): string {
  const id = compiler.column(table, "id");
  const end = order.findIndex(({ field }) => field === "id");
  const terms = (end === -1 ? order : order.slice(0, end)).map(
    ({ field, direction }) => `${compiler.column(table, field)} ${DIRECTIONS[direction]}`,
  );
  return [...terms, `${id} ${order[end]?.direction === "desc" ? "DESC" : "ASC"}`].join(", ");
}

function pageTerms({ limit, offset }: Select, compiler: WhereCompiler, dialect: Dialect): string {
  const skips = offset !== undefined && offset > 0;
  // SQLite takes an offset only after a limit; -1 is none.
  const limitTerm =
    limit !== undefined
      ? ` LIMIT ${compiler.parameter(limit)}`
      : skips && dialect.name === "sqlite"
        ? " LIMIT -1"
        : "";
  return skips ? `${limitTerm} OFFSET ${compiler.parameter(offset)}` : limitTerm;
}

function tableOf(entity: string, schema: SchemaShape): TableScope {
  const shape = schema.get(entity);
  if (shape === undefined) throw new Error(`No table is named ${entity}.`);
  return { shape, alias: "t" };
}
