import type { AuthDefinition } from "./auth.ts";
import type {
  ManifestCall,
  ManifestInput,
  ManifestPolicy,
  ManifestRelation,
  ManifestRoute,
} from "./manifest.ts";

/**
 * Declares who may do what.
 *
 * @example
 * policy({ name: "own", entity: "Todo", allow: "auth.userId == data.ownerId" })
 */
export function policy(definition: ManifestPolicy): ManifestPolicy {
  return definition;
}

/**
 * Declares a relation: `field` holds the id of a `target` row, or, with `many`, the target's
 * `field` holds this row's id.
 */
export function relation(definition: ManifestRelation): ManifestRelation {
  return definition;
}

/** Declares a named query with typed inputs. */
export function query(
  name: string,
  options: { readonly input?: readonly ManifestInput[] } = {},
): ManifestCall {
  return { name, ...options };
}

/** Declares a named action with typed inputs. */
export function action(
  name: string,
  options: { readonly input?: readonly ManifestInput[] } = {},
): ManifestCall {
  return { name, ...options };
}

/** Describes a page. */
export function defineRoute(definition: ManifestRoute): ManifestRoute {
  return definition;
}

/**
 * Declares the user entity, the length of a session, the trusted origins, and what happens when
 * somebody signs up or in.
 *
 * @example auth({ user: { hide: ["phone"] }, hooks: { claims: ({ user }) => ({ roles: user.isStaff
 *   ? ["staff"] : [] }) } })
 */
export function auth(definition: AuthDefinition): AuthDefinition {
  return definition;
}
