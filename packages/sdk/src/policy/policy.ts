import type { Entity, FieldNameOf } from "../entity.ts";
import type { ManifestFieldPolicy, ManifestPolicy } from "../manifest.ts";
import { isObject, shown } from "../mistake.ts";
import { ruleText, type CallerParts, type RuleParts, type UpdateParts } from "./rule.ts";
import type { Condition } from "./term.ts";

/** A policy rule: a string, or, if the policy refers to the entity object, a function. */
export type Rule<E, Parts> =
  | string
  | (E extends Entity ? (parts: Parts) => Condition | boolean : never);

/** `ManifestFieldPolicy` with functions for rules. */
export interface FieldPolicyDefinition<E> {
  readonly allow?: Rule<E, CallerParts>;
  readonly allowRead?: Rule<E, CallerParts>;
  readonly allowInsert?: Rule<E, RuleParts<E>>;
  readonly allowUpdate?: Rule<E, UpdateParts<E>>;
  readonly allowWrite?: Rule<E, RuleParts<E>>;
}

/** `ManifestPolicy` with functions for rules, if `entity` is an entity object. */
export interface PolicyOptions<E extends Entity | string> extends Pick<
  ManifestPolicy,
  "name" | "action" | "restrict"
> {
  readonly entity?: E;
  readonly allow?: Rule<E, RuleParts<E>>;
  readonly allowRead?: Rule<E, RuleParts<E>>;
  readonly allowInsert?: Rule<E, RuleParts<E>>;
  readonly allowUpdate?: Rule<E, UpdateParts<E>>;
  readonly allowDelete?: Rule<E, RuleParts<E>>;
  readonly allowWrite?: Rule<E, RuleParts<E>>;
  readonly fields?: {
    readonly [K in FieldNameOf<E>]?: FieldPolicyDefinition<E>;
  };
}

/**
 * Declares a policy: which callers may read and write the rows of an entity, and single fields of
 * them. A rule is a string, or a function whose fields the compiler checks; both are equivalent.
 *
 * @throws Error for a rule that uses a field which the entity does not have
 *
 * @example
 * const own = policy({ name: "own", entity: "Todo", allow: "auth.userId == data.ownerId" });
 *
 * @example
 * const Member = entity("Member", { channelId: field.string(), userId: field.string() });
 * const Message = entity("Message", { channelId: field.string(), text: field.string() });
 * const messages = policy({
 *   name: "messages",
 *   entity: Message,
 *   allowRead: ({ row, auth, exists, and }) =>
 *     exists(Member, (member) =>
 *       and(member.channelId.eq(row.channelId), member.userId.eq(auth.userId)),
 *     ),
 * });
 */
export function policy<E extends Entity | string>(definition: PolicyOptions<E>): ManifestPolicy {
  const { entity, fields, ...rest } = definition;
  const target: Entity | undefined = isEntity(entity) ? entity : undefined;
  const texts = (said: object): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(said).map(([key, rule]: [string, unknown]) => [
        key,
        isRule(rule) ? textOf(definition.name, target, rule) : rule,
      ]),
    );
  return {
    ...texts(rest),
    name: definition.name,
    ...(entity === undefined ? {} : { entity: isEntity(entity) ? entity.name : String(entity) }),
    ...(fields === undefined
      ? {}
      : {
          fields: Object.fromEntries(
            Object.entries(fields).map(([name, said]: [string, unknown]) => [
              name,
              (isObject(said) ? texts(said) : said) as ManifestFieldPolicy,
            ]),
          ),
        }),
  };
}

type AnyRule = (parts: UpdateParts<Entity>) => Condition | boolean;

function textOf(policyName: string, entity: Entity | undefined, rule: AnyRule): string {
  if (entity !== undefined) return ruleText(entity, rule);
  throw new Error(
    `The policy ${shown(policyName)} has a function as a rule. Pass the entity object, ` +
      "as in entity: Todo, or write the rule as a string.",
  );
}

function isRule(value: unknown): value is AnyRule {
  return typeof value === "function";
}

function isEntity(value: unknown): value is Entity {
  return isObject(value) && typeof value["name"] === "string" && Array.isArray(value["fields"]);
}
