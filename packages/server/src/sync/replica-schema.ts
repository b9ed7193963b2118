import type { ReplicaSchemaMessage } from "@pylonsync/protocol";
import { isFalse } from "@pylonsync/query";
import type { DataModel } from "../data/model.ts";
import type { Caller } from "../identity/identity.ts";

/**
 * The kinds of the fields of all entities of which a caller may read rows.
 *
 * @param now milliseconds since 1970
 */
export function replicaSchema(
  { schema, rules }: DataModel,
  caller: Caller,
  now: number,
): ReplicaSchemaMessage {
  const time = new Date(now).toISOString();
  return Object.fromEntries(
    schema.entities
      .filter(({ name }) => !isFalse(rules.readable(name, caller, time)))
      .map(({ name, publicShape }) => [name, Object.fromEntries(publicShape.fields)]),
  );
}
