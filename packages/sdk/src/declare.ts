import type { AuthDefinition } from "./auth.ts";
import type { ManifestCall, ManifestInput, ManifestRelation, ManifestRoute } from "./manifest.ts";

/**
 * Declares a relation: `field` holds the id of a `target` row, or, with `many`, the target's
 * `field` holds this row's id. With `through`, a join entity connects the two: its `field` holds
 * this row's id, and its `targetField` the target's id.
 *
 * @example
 * const Task = entity("Task", { assigneeId: field.id("User") }, {
 *   relations: [
 *     relation({ name: "assignee", target: "User", field: "assigneeId" }),
 *     relation({ name: "comments", target: "Comment", field: "taskId", many: true }),
 *     relation({
 *       name: "watchers",
 *       target: "User",
 *       many: true,
 *       through: "Watch",
 *       field: "taskId",
 *       targetField: "userId",
 *     }),
 *   ],
 * });
 */
export function relation<const R extends ManifestRelation>(definition: R): R {
  return definition;
}

/**
 * Declares a named query with typed inputs, for tools that read the manifest.
 *
 * @example
 * const openTodos = query("openTodos", { input: [{ name: "limit", type: "int" }] });
 */
export function query(
  name: string,
  options: { readonly input?: readonly ManifestInput[] } = {},
): ManifestCall {
  return { name, ...options };
}

/**
 * Declares a named action with typed inputs, for tools that read the manifest.
 *
 * @example
 * const sendDigest = action("sendDigest", { input: [{ name: "userId", type: "string" }] });
 */
export function action(
  name: string,
  options: { readonly input?: readonly ManifestInput[] } = {},
): ManifestCall {
  return { name, ...options };
}

/**
 * Describes a page of the app, for tools that read the manifest.
 *
 * @example
 * const home = defineRoute({ path: "/", mode: "live", query: "openTodos", auth: "user" });
 */
export function defineRoute(definition: ManifestRoute): ManifestRoute {
  return definition;
}

/**
 * Configures users and sign-in: the user entity, session duration, trusted origins, and hooks for
 * sign-up and sign-in.
 *
 * @example
 * const settings = auth({
 *   user: { hide: ["phone"] },
 *   session: { expiresIn: 7 * 24 * 3600 },
 *   hooks: { claims: ({ user }) => ({ roles: user.isStaff === true ? ["staff"] : [] }) },
 * });
 */
export function auth(definition: AuthDefinition): AuthDefinition {
  return definition;
}
