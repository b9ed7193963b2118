import { JOINED_ROWS, type Joined } from "@pylonsync/protocol";
import type { LocalStore } from "../replica/local-store.ts";

/** Related rows that a query includes, with the server's number. */
export interface IncludedPart {
  /** The path of relation names. */
  readonly path: string;
  readonly entity: string;
  readonly number: number;
}

/** Returns the entities of the related rows that the server has numbered. */
export function includedParts(
  store: LocalStore,
  owner: string,
  { include = {} }: Pick<Joined, "include">,
  path = "",
): readonly IncludedPart[] {
  return Object.entries(include).flatMap(([name, joined]) => {
    const rows = store.relation(owner, name)?.rows ?? null;
    // The caller may read none of them: none will come.
    if (rows === null) return [];
    const here = `${path}/${name}`;
    const inner = joined.include?.[JOINED_ROWS];
    if (rows.through === null || inner === undefined)
      return [
        { path: here, entity: rows.entity, number: joined.sub },
        ...includedParts(store, rows.entity, joined, here),
      ];
    const below = `${here}/${JOINED_ROWS}`;
    return [
      { path: here, entity: rows.through.entity, number: joined.sub },
      { path: below, entity: rows.entity, number: inner.sub },
      ...includedParts(store, rows.entity, inner, below),
    ];
  });
}

/** A value for a query, and for each of its includes by relation. */
export type Tree<T> = T & { include?: Record<string, Tree<T>> };

/**
 * Builds the tree of the values of parts.
 *
 * @param root the value for the query itself
 * @param parts the values by path, parents first
 */
export function treeOf<T extends object>(
  root: T,
  parts: Iterable<readonly [path: string, said: T]>,
): Tree<T> {
  const tree: Tree<T> = { ...root };
  for (const [path, said] of parts) {
    let owner = tree;
    for (const name of path.split("/").slice(1)) {
      owner.include ??= {};
      owner = owner.include[name] ??= { ...said };
    }
  }
  return tree;
}
