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
import { PARENT, type Aggregate, type PerParent, type Select } from "../store.ts";
import { groupKind, resultKind } from "../result-kind.ts";
import { MAX_BYTES_PER_UNIT } from "../row-size.ts";
import { quote } from "./quote.ts";
import {
  compileSearch,
  type OrderTerm,
  type PreparedSearch,
  type SearchSql,
} from "./compile-search.ts";
import { memberType, WhereCompiler, type Sql, type TableScope } from "./compile-where.ts";
import type { Dialect } from "./dialect.ts";
import { classOf } from "./operands.ts";

const DIRECTIONS = { asc: "ASC NULLS LAST", desc: "DESC NULLS FIRST" } as const;

/** A read whose search the store has prepared. */
type Prepared<R extends Select | Aggregate> = Omit<R, "search"> & {
  readonly search?: PreparedSearch | undefined;
};

function searchOf(
  { entity, search }: Prepared<Select>,
  compiler: WhereCompiler,
  dialect: Dialect,
): SearchSql | undefined {
  return search === undefined ? undefined : compileSearch(entity, search, compiler, dialect);
}

/** Selects the matching rows, in order. */
export function compileSelect(
  select: Prepared<Select>,
  schema: SchemaShape,
  dialect: Dialect,
): Sql {
  const { perParent } = select;
  if (perParent?.limit !== undefined || perParent?.through !== undefined)
    return compilePerParent(select, perParent, schema, dialect);
  const compiler = new WhereCompiler(schema, dialect);
  const table = tableOf(select.entity, schema);
  const search = searchOf(select, compiler, dialect);
  const where = whereTerm(select.where, compiler, table, search);
  const { order: asked = [] } = select;
  const terms =
    search === undefined || asked.length > 0
      ? listTerms(select, compiler, table)
      : [...search.order(), ...orderTerms([], compiler, table)];
  const order = ` ORDER BY ${listed(terms)}`;
  const page = pageTerms(select, compiler, dialect);
  const { names, texts, columns } = columnsOf(table, compiler);
  // In SQLite there are no other writers during a transaction.
  const lock =
    select.isClaim === true && dialect.name === "postgres" ? " FOR UPDATE OF t SKIP LOCKED" : "";
  const from = `${search?.from ?? `${quote(select.entity)} AS t`}${where}`;
  const text = `SELECT ${columns} FROM ${from}${order}${page}${lock}`;
  return {
    text: endingByBytes(text, names, texts, select.maxBytes, compiler, dialect),
    params: compiler.params,
  };
}

/** Selects the first rows of each parent, by their position among the parent's rows. */
function compilePerParent(
  select: Select,
  { field, limit, through }: PerParent,
  schema: SchemaShape,
  dialect: Dialect,
): Sql {
  const compiler = new WhereCompiler(schema, dialect);
  const table = tableOf(select.entity, schema);
  const { names, texts, columns } = columnsOf(table, compiler);
  const from =
    through === undefined
      ? `${quote(select.entity)} AS t`
      : jointTerm(field, through, schema, compiler, table);
  const parent =
    through === undefined ? compiler.column(table, field) : `${JOINT}.${quote(PARENT)}`;
  const where = whereTerm(select.where, compiler, table);
  const order = listed(orderTerms(select.order ?? [], compiler, table));
  const added = [
    ...(through === undefined ? [] : [`${parent} AS ${quote(PARENT)}`]),
    ...(limit === undefined
      ? []
      : [`ROW_NUMBER() OVER (PARTITION BY ${parent} ORDER BY ${order}) AS "$place"`]),
  ];
  const all = `SELECT ${[columns, ...added].join(", ")} FROM ${from}${where}`;
  const first = limit === undefined ? "" : ` WHERE t."$place" <= ${compiler.parameter(limit)}`;
  const shown = [...names, ...(through === undefined ? [] : [PARENT])];
  const text =
    `SELECT ${shown.map((name) => `t.${quote(name)}`).join(", ")} FROM (${all}) AS t` +
    `${first} ORDER BY ${through === undefined ? parent : `t.${quote(PARENT)}`}, ` +
    `${limit === undefined ? order : 't."$place"'}${pageTerms(select, compiler, dialect)}`;
  return {
    text: endingByBytes(text, shown, texts, select.maxBytes, compiler, dialect),
    params: compiler.params,
  };
}

/** Sorts by parent first: an index on the parent has this order. */
function listTerms(
  { order = [], perParent }: Select,
  compiler: WhereCompiler,
  table: TableScope,
): OrderTerm[] {
  const terms = orderTerms(order, compiler, table);
  if (perParent === undefined) return terms;
  const parent: OrderTerm = { term: compiler.column(table, perParent.field), direction: "ASC" };
  return perParent.field === "id" ? [parent] : [parent, ...terms];
}

const JOINT = "joint";

/**
 * Joins parents and children: each pair is returned once, regardless of the number of joining rows.
 */
function jointTerm(
  field: string,
  { entity, targetField, where }: NonNullable<PerParent["through"]>,
  schema: SchemaShape,
  compiler: WhereCompiler,
  table: TableScope,
): string {
  const between = { ...tableOf(entity, schema), alias: "b" };
  const parent = `${compiler.column(between, field)} AS ${quote(PARENT)}`;
  const child = `${compiler.column(between, targetField)} AS "$child"`;
  const condition = whereTerm(where, compiler, between);
  const pairs = `SELECT DISTINCT ${parent}, ${child} FROM ${quote(entity)} AS b${condition}`;
  return `(${pairs}) AS ${JOINT} JOIN ${quote(table.shape.name)} AS t ON t.id = ${JOINT}."$child"`;
}

/** The column of a search page that contains the number of rows on all pages. */
export const TOTAL = "_pylon_total";

/**
 * Selects a page of the matching rows, each with the total number: all matching rows are read only
 * once, for both.
 */
export function compileSearchPage(
  select: Prepared<Select> & { readonly search: PreparedSearch },
  schema: SchemaShape,
  dialect: Dialect,
): Sql {
  const compiler = new WhereCompiler(schema, dialect);
  const table = tableOf(select.entity, schema);
  const search = compileSearch(select.entity, select.search, compiler, dialect);
  const { order: asked = [], where } = select;
  const isOfIndex = asked.length === 0 && (where === undefined || isTrue(where));
  const condition = whereTerm(where, compiler, table, search);
  const id = isOfIndex ? search.id : compiler.column(table, "id");
  const terms =
    asked.length > 0
      ? orderTerms(asked, compiler, table)
      : [...search.order(), { term: id, direction: "ASC" }];
  const keys = terms.map(({ term }, at) => `${term} AS k${at}`).join(", ");
  const from = isOfIndex ? search.fromIndex : search.from;
  const hits = `SELECT ${id} AS id, ${keys} FROM ${from}${condition}`;
  const order = (prefix: string): string =>
    listed(terms.map(({ direction }, at) => ({ term: `${prefix}k${at}`, direction })));
  const total = `(SELECT ${dialect.count("*")} FROM hits) AS total`;
  const page =
    `SELECT hits.*, ${total} FROM hits ORDER BY ${order("")}` +
    pageTerms(select, compiler, dialect);
  const join = dialect.name === "sqlite" ? "CROSS JOIN" : "JOIN";
  const { names, texts, columns } = columnsOf(table, compiler);
  const text =
    `WITH hits AS MATERIALIZED (${hits}) SELECT ${columns}, h.total AS ${quote(TOTAL)} ` +
    `FROM (${page}) AS h ${join} ${quote(select.entity)} AS t ON t.id = h.id ` +
    `ORDER BY ${order("h.")}`;
  const all = [...names, TOTAL];
  return {
    text: endingByBytes(text, all, texts, select.maxBytes, compiler, dialect),
    params: compiler.params,
  };
}

/** The columns of a table, in the form that most reads use. */
interface Columns {
  readonly names: readonly string[];
  /** Those that may be long. */
  readonly texts: readonly string[];
  readonly columns: string;
}

const KNOWN_COLUMNS = new WeakMap<EntityShape, Columns>();

/**
 * Columns are named individually: another replica may add a column, which would break a prepared
 * `*`.
 */
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

/** Counts the matching rows, as `count`. */
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

/** Evaluates a condition without free paths, as `truth` 1 or 0. */
export function compileTest(expr: Expr, schema: SchemaShape, dialect: Dialect): Sql {
  const compiler = new WhereCompiler(schema, dialect);
  return {
    text: `SELECT CASE WHEN ${compiler.condition(expr, undefined)} THEN 1 ELSE 0 END AS truth`,
    params: compiler.params,
  };
}

/** Deletes the matching rows. */
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

/** Computes measures by group, in the order of the groups' keys. */
export function compileAggregate(
  spec: Prepared<Aggregate>,
  schema: SchemaShape,
  dialect: Dialect,
): Sql {
  const compiler = new WhereCompiler(schema, dialect);
  const table = tableOf(spec.entity, schema);
  const groups = spec.groupBy.map((group) => ({
    shown: shownGroup(group, compiler, table, dialect),
    as: quote(group.as),
  }));
  const array = spec.groupBy.find(({ items }) => items !== undefined);
  // A list may contain an item twice.
  const rows = array === undefined ? "*" : `DISTINCT ${compiler.column(table, "id")}`;
  const measures = spec.measures.map(
    ({ fn, field, as }) => `${measure(fn, field, compiler, table, dialect, rows)} AS ${quote(as)}`,
  );
  const columns = [...groups.map(({ shown, as }) => `${shown} AS ${as}`), ...measures].join(", ");
  const search = searchOf(spec, compiler, dialect);
  const joined =
    array === undefined
      ? ""
      : ` CROSS JOIN ${dialect.json.items(compiler.column(table, array.field))}`;
  const matching = whereTerm(spec.where, compiler, table, search);
  const where = array === undefined ? matching : withItem(matching, array, dialect);
  const positions = groups.map((_, index) => index + 1);
  const grouping = groups.length === 0 ? "" : ` GROUP BY ${positions.join(", ")}`;
  const having =
    spec.atLeast === undefined ? "" : ` HAVING count(*) >= ${compiler.parameter(spec.atLeast)}`;
  const order = [
    ...(spec.atLeast === undefined ? [] : ["count(*) DESC"]),
    ...positions.map((position) => `${position} NULLS LAST`),
  ].join(", ");
  const from = `${search?.from ?? `${quote(spec.entity)} AS t`}${joined}`;
  const grouped = `SELECT ${columns} FROM ${from}${where}${grouping}${having}`;
  const ordered =
    spec.having === undefined && spec.order === undefined
      ? `${grouped}${order === "" ? "" : ` ORDER BY ${order}`}`
      : resultsOf(grouped, spec, table.shape, compiler);
  const page = pageTerms({ entity: spec.entity, limit: spec.limit }, compiler, dialect);
  const text = `${ordered}${page}`;
  const names = [...spec.groupBy, ...spec.measures].map(({ as }) => as);
  const texts = textsOf(spec, table.shape, schema);
  return {
    text: endingByBytes(text, names, texts, spec.maxBytes, compiler, dialect),
    params: compiler.params,
  };
}

/** The names of the groups and measures whose values may be long. */
function textsOf(
  { entity, groupBy, measures }: Prepared<Aggregate>,
  shape: EntityShape,
  schema: SchemaShape,
): string[] {
  const groups = groupBy
    .filter(({ bucket }) => bucket === undefined)
    .map((group) => ({ as: group.as, kind: groupKind(group, entity, schema) }));
  const extremes = measures
    .filter(({ fn }) => fn === "min" || fn === "max")
    .map(({ as, field = "" }) => ({ as, kind: shape.fields.get(field) }));
  return [...groups, ...extremes].filter(({ kind }) => isText(kind)).map(({ as }) => as);
}

/** The condition, and that an item is of the array's kind. */
function withItem(
  where: string,
  { items = "string" }: Aggregate["groupBy"][number],
  dialect: Dialect,
): string {
  const isOfKind = `${dialect.json.item(memberType(items))} IS NOT NULL`;
  return where === "" ? ` WHERE ${isOfKind}` : `${where} AND ${isOfKind}`;
}

/** The value by which rows are grouped. */
function shownGroup(
  { field, items, related, bucket, isDate, offsets }: Aggregate["groupBy"][number],
  compiler: WhereCompiler,
  table: TableScope,
  dialect: Dialect,
): string {
  if (items !== undefined) return dialect.json.item(memberType(items));
  if (related !== undefined)
    return compiler.relatedValue(related, field, table, (column, kind) =>
      dialect.shown(column, kind),
    );
  const column = compiler.column(table, field);
  if (bucket !== undefined && isDate === true) return dialect.dateBucket(column, bucket);
  return bucket === undefined
    ? dialect.shown(column, table.shape.fields.get(field) ?? "string")
    : dialect.bucket(column, { bucket, offsets }, (value) => compiler.parameter(value));
}

/** The groups that satisfy `having`, in the requested order, ties in the order of their keys. */
function resultsOf(
  grouped: string,
  { groupBy, measures, having = TRUE, order = [] }: Prepared<Aggregate>,
  shape: EntityShape,
  compiler: WhereCompiler,
): string {
  const names = [...groupBy, ...measures].map(({ as }) => as);
  const numbers = measures.map((each): [string, FieldKind] => [each.as, resultKind(each, shape)]);
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

/** Empty if all rows match. */
function whereTerm(
  where: Expr | undefined,
  compiler: WhereCompiler,
  table: TableScope,
  search?: SearchSql,
): string {
  const conditions = [
    ...(search === undefined ? [] : [search.condition]),
    ...(where === undefined || isTrue(where) ? [] : [compiler.condition(where, table)]),
  ];
  return conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`;
}

/** Whether values of the kind can have any length. */
function isText(kind: FieldKind | undefined): boolean {
  return kind !== undefined && (classOf(kind) === "text" || !isScalarKind(kind));
}

/**
 * Postgres sends all rows of a statement, so the statement itself must limit them; SQLite is read
 * row by row. The limit is in bytes of UTF-8, three for each of `maxBytes`: the rows then have at
 * least `maxBytes` by rowSize, and the reader cuts them off exactly. The window keeps the order of
 * the rows below it.
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
  rows: string,
): string {
  if (field === undefined) return dialect.count(rows);
  const column = compiler.column(table, field);
  if (fn === "count") return dialect.count(column);
  if (fn === "countDistinct") return dialect.count(`DISTINCT ${column}`);
  const kind = table.shape.fields.get(field) ?? "string";
  if (fn === "sum" || fn === "avg") return dialect.total(fn, column, kind);
  return dialect.shown(`${fn}(${column})`, kind);
}

/**
 * Ends with the id, so that the order is always the same. Terms after the id are dropped, because
 * they have no effect, and the id has no NULLS clause, because it is never null: otherwise a
 * database would sort rows that an index already has in order.
 */
function orderTerms(
  order: readonly Order[],
  compiler: WhereCompiler,
  table: TableScope,
): OrderTerm[] {
  const term = compiler.column(table, "id");
  const end = order.findIndex(({ field }) => field === "id");
  return [
    ...(end === -1 ? order : order.slice(0, end)).map(({ field, direction }) => ({
      term: compiler.column(table, field),
      direction: DIRECTIONS[direction],
    })),
    { term, direction: order[end]?.direction === "desc" ? "DESC" : "ASC" },
  ];
}

function listed(terms: readonly OrderTerm[]): string {
  return terms.map(({ term, direction }) => `${term} ${direction}`).join(", ");
}

function pageTerms({ limit, offset }: Select, compiler: WhereCompiler, dialect: Dialect): string {
  const skips = offset !== undefined && offset > 0;
  // SQLite accepts an offset only after a limit; -1 means no limit.
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
