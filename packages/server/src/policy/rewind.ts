import {
  and,
  bind,
  FALSE,
  literal,
  mapChildren,
  nodesOf,
  or,
  path,
  type Expr,
  type Values,
} from "@pylonsync/query";

/** A change of a row that policies may look at by `exists`. */
export interface RelatedChange {
  readonly entity: string;
  readonly rowId: string;
  readonly before: Values | null;
  readonly after: Values | null;
}

/**
 * The condition as it was before a change, in a form that a store can answer that holds the change.
 *
 * Every `exists` over the changed entity is put back at once, nested and negated ones too: put back
 * one at a time, two of them would each hide what the other tells.
 *
 * @param expr reads `data`; what it reads of the caller is bound
 */
export function rewind(expr: Expr, change: RelatedChange): Expr {
  const rewound = mapChildren(expr, (child) => rewind(child, change));
  if (rewound.kind !== "exists" || rewound.entity !== change.entity) return rewound;
  const isOther: Expr = {
    kind: "compare",
    op: "!=",
    left: path("related", "id"),
    right: literal(change.rowId),
  };
  return or(
    { ...rewound, where: and(isOther, rewound.where) },
    whereRelated(rewound.where, change.before),
  );
}

/**
 * The condition on `data` for the rows about which the change may have changed the answer: those
 * for which the changed row satisfied, or satisfies, one of the `exists`.
 *
 * @returns FALSE when the change has no bearing on it
 */
export function reachOf(expr: Expr, change: RelatedChange): Expr {
  const reached: Expr[] = [];
  for (const node of nodesOf(expr)) {
    if (node.kind !== "exists" || node.entity !== change.entity) continue;
    reached.push(
      whereRelated(rewind(node.where, change), change.before),
      whereRelated(node.where, change.after),
    );
  }
  return or(...reached);
}

/**
 * An inner `exists` reads no row of an outer one, so what is left after this reads `data` alone.
 */
function whereRelated(where: Expr, row: Values | null): Expr {
  return row === null ? FALSE : bind(where, { related: row });
}
