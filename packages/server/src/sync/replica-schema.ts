import {
  encodeRelation,
  itemsKey,
  type RelationKind,
  type ReplicaSchemaMessage,
} from "@pylonsync/protocol";
import { isFalse, type EntityShape } from "@pylonsync/query";
import type { ManifestRelation } from "@pylonsync/sdk";
import { pathOf } from "../data/relation-path.ts";
import type { DataModel } from "../data/model.ts";
import type { Caller } from "../identity/identity.ts";
import type { Entity } from "../schema/schema.ts";

/**
 * The kinds of the fields of all entities of which a caller may read rows, and their relations.
 *
 * @param now milliseconds since 1970
 */
export function replicaSchema(
  { schema, rules }: DataModel,
  caller: Caller,
  now: number,
): ReplicaSchemaMessage {
  const readable = readableOf({ schema, rules }, caller, now);
  const shown = new Map(readable.map(({ name, publicShape }) => [name, publicShape]));
  return Object.fromEntries(
    readable.flatMap(({ name, oldNames, publicShape, relations }) => {
      const fields = {
        ...Object.fromEntries(fieldKinds(publicShape)),
        ...Object.fromEntries(
          [...relations.values()].map((relation) => [
            relation.name,
            encodeRelation(relationKind(publicShape, relation, shown)),
          ]),
        ),
      };
      return [...oldNames, name].map((known) => [known, fields]);
    }),
  );
}

function fieldKinds({ fields, items }: EntityShape): readonly (readonly [string, string])[] {
  const itemKinds = [...(items ?? [])].filter(([name]) => fields.has(name));
  return [...fields, ...itemKinds.map(([name, kind]) => [itemsKey(name), kind] as const)];
}

/** By a field that is hidden, or to an entity that the caller may not read, it leads to no rows. */
function relationKind(
  owner: EntityShape,
  relation: ManifestRelation,
  shown: ReadonlyMap<string, EntityShape>,
): RelationKind {
  const { key, field, through } = pathOf(relation);
  const isMany = relation.many === true;
  const has = (entity: EntityShape | undefined, name: string): boolean =>
    entity?.fields.has(name) === true;
  const target = shown.get(relation.target);
  const between = through === null ? target : shown.get(through.entity);
  const leads =
    has(owner, key) &&
    has(between, field) &&
    (through === null || (has(between, through.targetField) && target !== undefined));
  return { isMany, rows: leads ? { entity: relation.target, key, field, through } : null };
}

/** The entities of which a caller's client holds all rows. @param now milliseconds since 1970 */
export function offlineEntities(model: DataModel, caller: Caller, now: number): readonly string[] {
  return readableOf(model, caller, now).flatMap(({ name, isOffline }) => (isOffline ? [name] : []));
}

function readableOf(
  { schema, rules }: Pick<DataModel, "schema" | "rules">,
  caller: Caller,
  now: number,
): readonly Entity[] {
  const time = new Date(now).toISOString();
  return schema.entities
    .filter(({ name }) => !isFalse(rules.readable(name, caller, time)))
    .map((entity) => rules.seenBy(entity, caller));
}
