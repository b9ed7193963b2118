import type { Value } from "../store.ts";

/** The type as which a value inside of a json is read; a value of another type is NULL. */
export type MemberType = "text" | "number" | "bool" | "any";

/** Returns the placeholder of a value. Placeholders must be requested in the order of the text. */
export type Parameter = (value: Value) => string;

/** The differences between the SQL dialects for json and arrays. */
export interface JsonMembers {
  /**
   * The value inside of a column's json; `any` is an expression that is NULL if the value is null.
   */
  member(column: string, steps: readonly string[], type: MemberType, parameter: Parameter): string;
  /** Whether the list there has one of the values as an item; all values have the given type. */
  has(
    column: string,
    steps: readonly string[],
    type: Exclude<MemberType, "any">,
    values: readonly Value[],
    parameter: Parameter,
  ): string;
  /** A table of the items of the list in a column, to be joined with the column's table. */
  items(column: string): string;
  /** The item in a row of `items`; NULL if it has another type. */
  item(type: Exclude<MemberType, "any">): string;
}

/** A path in SQLite's syntax. A step contains no quotes and no backslashes: see parse-filter.ts. */
function pathOf(steps: readonly string[]): string {
  return ["$", ...steps.map((step) => `"${step}"`)].join(".");
}

function listed(values: readonly Value[], parameter: Parameter): string {
  return `(${values.map((value) => parameter(value)).join(", ")})`;
}

/**
 * The value if it has the type, from the type and the value returned by SQLite's JSON functions.
 */
const SQLITE_TYPED = {
  text: (type: string, value: () => string) => `CASE ${type} WHEN 'text' THEN ${value()} END`,
  number: (type: string, value: () => string) =>
    `CASE WHEN ${type} IN ('integer', 'real') THEN ${value()} END`,
  bool: (type: string) => `CASE ${type} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END`,
  any: (type: string) => `nullif(${type}, 'null')`,
} as const;

/** Json and arrays in SQLite, which stores them as text. */
export const sqliteMembers: JsonMembers = {
  member(column, steps, type, parameter) {
    const path = pathOf(steps);
    const found = `json_type(${column}, ${parameter(path)})`;
    return `(${SQLITE_TYPED[type](found, () => `json_extract(${column}, ${parameter(path)})`)})`;
  },
  has(column, steps, type, values, parameter) {
    const path = pathOf(steps);
    const items = `json_each(${column}, ${parameter(path)}) AS item`;
    // For an object it would return the values.
    const isList = `json_type(${column}, ${parameter(path)}) = 'array'`;
    const item = SQLITE_TYPED[type]("item.type", () => "item.value");
    const found = `${isList} AND ${item} IN ${listed(values, parameter)}`;
    return `EXISTS (SELECT 1 FROM ${items} WHERE ${found})`;
  },
  items: (column) => `json_each(${column}) AS item`,
  item: (type) => SQLITE_TYPED[type]("item.type", () => "item.value"),
};

/** The value of a json if it has this type. The CASE prevents the conversion of other types. */
const POSTGRES_TYPED = {
  text: (json: string) => `CASE json_typeof(${json}) WHEN 'string' THEN ${json} #>> '{}' END`,
  number: (json: string) =>
    `CASE json_typeof(${json}) WHEN 'number' THEN (${json} #>> '{}')::float8 END`,
  bool: (json: string) =>
    `CASE json_typeof(${json}) WHEN 'boolean' THEN (${json} #>> '{}')::boolean END`,
  any: (json: string) => `nullif(json_typeof(${json}), 'null')`,
} as const;

/** Steps are cast to text, so that they are keys of objects and never list indexes. */
function postgresValue(column: string, steps: readonly string[], parameter: Parameter): string {
  const path = steps.map((step) => ` -> ${parameter(step)}::text`).join("");
  return `(${column}${path})`;
}

/** Json and arrays in Postgres, in columns of type JSON. */
export const postgresMembers: JsonMembers = {
  member(column, steps, type, parameter) {
    const value = postgresValue(column, steps, parameter);
    return `(${POSTGRES_TYPED[type](value)})`;
  },
  has(column, steps, type, values, parameter) {
    const list = postgresValue(column, steps, parameter);
    const items = `json_array_elements(CASE json_typeof(${list}) WHEN 'array' THEN ${list} END)`;
    const found = `(${POSTGRES_TYPED[type]("item.value")}) IN ${listed(values, parameter)}`;
    return `EXISTS (SELECT 1 FROM ${items} AS item(value) WHERE ${found})`;
  },
  items: (column) =>
    `LATERAL json_array_elements(CASE json_typeof(${column}) WHEN 'array' THEN ${column} END) ` +
    "AS item(value)",
  item: (type) => `(${POSTGRES_TYPED[type]("item.value")})`,
};
