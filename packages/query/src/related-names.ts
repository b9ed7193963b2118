import { and, isFalse, not, path } from "./build.ts";
import { FALSE, TRUE, type EntityShape, type Expr } from "./expr.ts";
import { asObject, FilterParser, type FilterNames } from "./filter-parser.ts";

/**
 * Returns the relation of an entity with this name; undefined if there is none. If the fields are
 * not known, the value `asked` under the name may distinguish a relation from a field.
 *
 * @throws the error for a relation that filters must not use
 */
export type Relations = (name: string, at: string, asked: unknown) => Relation | undefined;

/** Where the rows of a relation are, and which of them a filter may test. */
export interface Relation {
  readonly entity: EntityShape;
  /** The field of the filtered row that refers to the related rows. */
  readonly key: string;
  /** The field of the related rows that equals `key`. */
  readonly field: string;
  /** The condition for readable rows; `data` is a related row. */
  readonly readable: Expr;
  /** The join rows, if the relation has any; `key` is then one of their fields. */
  readonly through?: {
    readonly entity: string;
    /** The field of the join rows that holds the id of the filtered row. */
    readonly field: string;
    /** The condition for readable rows; `data` is a join row. */
    readonly readable: Expr;
  };
  readonly relations: Relations;
}

/** Returns the names of an entity's fields and relations. */
type NamesOf = (entity: EntityShape | undefined, relations: Relations | undefined) => FilterNames;

/** Parses conditions on related rows. A field has precedence over a relation of its name. */
export function relatedOf(
  entity: EntityShape | undefined,
  relations: Relations | undefined,
  namesOf: NamesOf,
): NonNullable<FilterNames["related"]> {
  return (key, at, asked) => {
    const relation = entity?.fields.has(key) === true ? undefined : relations?.(key, at, asked);
    if (relation === undefined) return undefined;
    return (depth) => {
      const inner = namesOf(relation.entity, relation.relations);
      inner.server?.limits.related(at);
      return relatedCondition(relation, asked, at, (conditions) =>
        new FilterParser(inner).conditions(conditions, at, depth + 1),
      );
    };
  };
}

/** Builds the condition. The value null matches rows without related rows. */
function relatedCondition(
  { entity, key, field, readable, through }: Relation,
  value: unknown,
  at: string,
  parse: (conditions: readonly (readonly [string, unknown])[]) => Expr,
): Expr {
  const asked = value === null ? TRUE : parse(Object.entries(asObject(value, at)));
  const some = hasRelated({ entity: entity.name, field, key, where: and(asked, readable) });
  const joined =
    through === undefined
      ? some
      : hasRelated({ ...through, key: "id", where: and(through.readable, some) });
  return value === null ? not(joined) : joined;
}

function hasRelated({
  entity,
  field,
  key,
  where,
}: {
  readonly entity: string;
  readonly field: string;
  readonly key: string;
  readonly where: Expr;
}): Expr {
  return isFalse(where)
    ? FALSE
    : { kind: "hasRelated", entity, field, key: path("data", key), where };
}
