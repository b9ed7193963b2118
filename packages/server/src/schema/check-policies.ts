import type { Manifest } from "@pylonsync/sdk";
import { didYouMean, duplicates } from "./check-names.ts";
import { errorAt, type Diagnostic } from "./diagnostic.ts";

const RULES = [
  "allow",
  "allowRead",
  "allowInsert",
  "allowUpdate",
  "allowDelete",
  "allowWrite",
] as const;

/** Checks that each policy has a condition, and an existing entity or action. */
export function* checkPolicies(manifest: Manifest): Generator<Diagnostic> {
  yield* duplicates(manifest.policies, "POLICY", "policies");
  for (const [index, policy] of manifest.policies.entries()) {
    const at = `policies[${index}]`;
    if (policy.entity === undefined && policy.action === undefined) {
      yield errorAt(
        "POLICY_NO_TARGET",
        `The policy "${policy.name}" has neither an entity nor an action.`,
        at,
      );
    }
    const speaks =
      policy.fields !== undefined || RULES.some((rule) => (policy[rule] ?? "").trim() !== "");
    if (!speaks)
      yield errorAt(
        "POLICY_ALLOW_EMPTY",
        `The policy "${policy.name}" has no condition.`,
        at,
        `Set one of ${RULES.join(", ")}.`,
      );
    if (policy.fields !== undefined && policy.entity === undefined)
      yield errorAt(
        "POLICY_NO_TARGET",
        `The policy "${policy.name}" has fields, but no entity.`,
        at,
      );
    if (
      policy.entity !== undefined &&
      !manifest.entities.some(({ name }) => name === policy.entity)
    ) {
      yield errorAt(
        "POLICY_ENTITY_NOT_FOUND",
        `The policy "${policy.name}" is for the entity "${policy.entity}", which does not exist.`,
        `${at}.entity`,
        didYouMean(
          policy.entity,
          manifest.entities.map(({ name }) => name),
        ),
      );
    }
    if (
      policy.action !== undefined &&
      !manifest.actions.some(({ name }) => name === policy.action)
    ) {
      yield errorAt(
        "POLICY_ACTION_NOT_FOUND",
        `The policy "${policy.name}" is for the action "${policy.action}", ` +
          "which does not exist.",
        `${at}.action`,
      );
    }
  }
}
