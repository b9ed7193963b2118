import type { IncludeQuery } from "@pylonsync/protocol";
import type { IncludeOptions } from "./live-query.ts";

/** Converts the includes of a query to the form of the wire protocol. */
export function includeQuery(include: IncludeOptions): Readonly<Record<string, IncludeQuery>> {
  return Object.fromEntries(
    Object.entries(include).map(([name, asked]): [string, IncludeQuery] => {
      if (asked === true) return [name, {}];
      const { include: inner, where, order, limit } = asked;
      return [
        name,
        {
          ...(where === undefined ? {} : { where: { ...where } }),
          ...(order === undefined ? {} : { order }),
          ...(limit === undefined ? {} : { limit }),
          ...(inner === undefined ? {} : { include: { ...includeQuery(inner) } }),
        },
      ];
    }),
  );
}
