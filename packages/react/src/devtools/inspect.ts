import type { Row, SyncEngine } from "@pylonsync/sync";

/** The maximum number of rows shown per entity. */
const MAX_ROWS = 50;
/** The size of a longer list is estimated from its first rows. */
const MAX_MEASURED_ROWS = 200;

/** A query that a page watches. */
export interface WatchedQuery {
  readonly id: string;
  readonly entity: string;
  readonly where: string;
  readonly order: string;
  readonly rows: number;
  /** The approximate size as JSON. */
  readonly bytes: number;
}

/** The rows of an entity in the replica. */
export interface HeldEntity {
  readonly entity: string;
  readonly rows: number;
}

/** Returns the currently watched queries, by entity. */
export function watchedQueries({ store }: SyncEngine): WatchedQuery[] {
  const queries = [...store.windows(Infinity)].map(({ entity, key, rows }) => {
    const [where, order]: unknown[] = JSON.parse(key);
    return {
      id: `${entity} ${key}`,
      entity,
      where: isAlways(where) ? "all rows" : conditionText(where),
      order: orderText(order),
      rows: rows.length,
      bytes: bytesOf(rows),
    };
  });
  return queries.toSorted((one, other) => one.id.localeCompare(other.id));
}

/** Returns the entities that have rows or pending writes in the replica. */
export function heldEntities({ store, mutations }: SyncEngine): HeldEntity[] {
  const counts = new Map(mutations.all().map(({ change }) => [change.entity, 0]));
  for (const { entity } of store.allConfirmed()) counts.set(entity, 0);
  return [...counts.keys()]
    .toSorted()
    .map((entity) => ({ entity, rows: store.list(entity).length }));
}

/** Returns the first rows of an entity, and the number of rows that are not shown. */
export function rowsOf(
  { store }: SyncEngine,
  entity: string,
): { readonly rows: readonly Row[]; readonly more: number } {
  const rows = store.list(entity);
  return { rows: rows.slice(0, MAX_ROWS), more: Math.max(0, rows.length - MAX_ROWS) };
}

/** Formats a size: `1.5 kB`. */
export function sizeText(bytes: number): string {
  return bytes < 1000 ? `${bytes} B` : `${(bytes / 1000).toFixed(1)} kB`;
}

function bytesOf(rows: readonly Row[]): number {
  const measured = rows.slice(0, MAX_MEASURED_ROWS);
  const bytes = JSON.stringify(measured).length;
  return rows.length === 0 ? 0 : Math.round((bytes / measured.length) * rows.length);
}

type Tree = Readonly<Record<string, unknown>>;

/** Formats a predicate tree: `done == false && rank > 3`. */
function conditionText(tree: unknown): string {
  if (!isTree(tree)) return JSON.stringify(tree) ?? "";
  const part = (name: string): string => conditionText(tree[name]);
  const parts = (): string[] =>
    Array.isArray(tree["items"]) ? tree["items"].map((item) => conditionText(item)) : [];
  switch (tree["kind"]) {
    case "literal":
      return JSON.stringify(tree["value"]);
    case "path":
      return String(tree["name"]);
    case "list":
      return `[${parts().join(", ")}]`;
    case "compare":
      return `${part("left")} ${String(tree["op"])} ${part("right")}`;
    case "in":
      return `${part("item")} in ${part("list")}`;
    case "not":
      return `!(${part("item")})`;
    case "and":
      return parts().join(" && ");
    case "or":
      return `(${parts().join(" || ")})`;
    case "contains":
    case "containsFolded":
      return `${part("text")} contains ${part("part")}`;
    case "startsWith":
      return `${part("text")} starts with ${part("prefix")}`;
    case "endsWith":
      return `${part("text")} ends with ${part("suffix")}`;
    default:
      return JSON.stringify(tree);
  }
}

/** Whether a filter matches everything. */
function isAlways(tree: unknown): boolean {
  return isTree(tree) && tree["kind"] === "literal" && tree["value"] === true;
}

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && "kind" in value;
}

function orderText(order: unknown): string {
  if (!Array.isArray(order) || order.length === 0) return "id";
  return order.map((key: Tree) => `${String(key["field"])} ${String(key["direction"])}`).join(", ");
}
