import { parseJson } from "./field-value.ts";

/**
 * Reads whose access is checked: the id of a user, or an identity as JSON, such as
 * `{"userId": "u1", "roles": ["editor"], "tenantId": "t1"}`. An empty text is a caller who is not
 * signed in.
 *
 * @throws Error with a sentence if it begins like JSON, but is not
 */
export function callerOf(text: string): unknown {
  const entered = text.trim();
  if (entered === "") return { userId: null };
  if (!entered.startsWith("{")) return entered;
  const identity = parseJson(entered);
  if ("problem" in identity) throw new Error(identity.problem);
  return identity.value;
}
