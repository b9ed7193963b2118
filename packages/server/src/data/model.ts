import type { Entity, Schema } from "../schema/schema.ts";
import type { PolicySet } from "../policy/policy-set.ts";
import type { Caller } from "../identity/identity.ts";
import type { HookSet } from "./hooks.ts";
import { Rules } from "./rules.ts";

/**
 * The compiled declarations of the app, on which all reads and writes of rows depend. A reload
 * replaces it as a whole.
 */
export class DataModel {
  readonly schema: Schema;
  readonly policies: PolicySet;
  readonly hooks: HookSet;
  readonly rules: Rules;

  constructor(schema: Schema, policies: PolicySet, hooks: HookSet) {
    this.schema = schema;
    this.policies = policies;
    this.hooks = hooks;
    this.rules = new Rules(policies);
  }

  /** @throws PylonError ENTITY_NOT_FOUND */
  entity(name: string): Entity {
    return this.schema.entity(name);
  }

  /** The entity as the caller sees it. @throws PylonError ENTITY_NOT_FOUND */
  entityFor(name: string, caller: Caller): Entity {
    return this.rules.seenBy(this.schema.entity(name), caller);
  }
}
