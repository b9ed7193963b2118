import { bind, type Expr } from "@pylonsync/query";
import type { Aggregate, Reader, Select } from "../store/store.ts";

/**
 * A reader whose conditions may contain `now()`.
 *
 * @param now its value: ISO 8601
 */
export function readerAt(reader: Reader, now: string): Reader {
  const at = (where: Expr): Expr => bind(where, { now });
  const timed = <Q extends Pick<Select, "where">>(query: Q): Q =>
    query.where === undefined ? query : { ...query, where: at(query.where) };
  return {
    get: (entity, id) => reader.get(entity, id),
    select: ({ perParent, ...query }) => {
      const through = perParent?.through;
      return reader.select({
        ...timed(query),
        perParent:
          perParent === undefined || through === undefined
            ? perParent
            : { ...perParent, through: timed(through) },
      });
    },
    search: (query) => reader.search(timed(query)),
    count: (entity, where) => reader.count(entity, where === undefined ? undefined : at(where)),
    aggregate: (spec) =>
      reader.aggregate({
        ...timed(spec),
        groupBy: spec.groupBy.map((group) => groupAt(group, at)),
      }),
    test: (expr) => reader.test(at(expr)),
  };
}

type Group = Aggregate["groupBy"][number];

function groupAt(group: Group, at: (where: Expr) => Expr): Group {
  const { related } = group;
  return related === undefined
    ? group
    : { ...group, related: { ...related, where: at(related.where) } };
}
