import { bind, isFalse, isTrue, TRUE, type Expr } from "@pylonsync/query";
import type { DataModel } from "../data/model.ts";
import { RuleEnv } from "../data/rules.ts";
import type { Caller } from "../identity/identity.ts";
import type { FieldAccess } from "../policy/field-policies.ts";
import type { PolicyPart } from "../policy/policy-part.ts";
import type { Access } from "../policy/policy-set.ts";
import type { QueryPlan, Reader, Store, StoredRow } from "../store/store.ts";

/** The maximum number of rows of the explained list. */
const LIST_LIMIT = 100;

const FIELD_ACCESSES: readonly FieldAccess[] = ["read", "insert", "update"];

/** The result of a policy for a caller; `depends`: on the row. */
export type Outcome = "allowed" | "refused" | "depends";

/** The result of one policy. */
export interface ExplainedPolicy {
  readonly name: string;
  readonly rule: string;
  /** Whether it is a restriction, which must hold in addition to the policies that allow. */
  readonly restrict: boolean;
  readonly outcome: Outcome;
}

/** The result of all policies for one kind of access. */
export interface ExplainedAccess {
  readonly outcome: Outcome;
  /** The policies that apply; without any, the access is allowed or refused as a whole. */
  readonly policies: readonly ExplainedPolicy[];
}

/** Explains why a caller may or may not access the rows of an entity. */
export interface Explanation {
  readonly entity: string;
  readonly caller: Caller;
  /** Whether the given row exists; null if no row was given. */
  readonly row: "found" | "missing" | null;
  readonly access: Readonly<Record<Access, ExplainedAccess>>;
  /** By field: the result of the policies of single fields, in addition to those of the row. */
  readonly fields: Readonly<Record<string, Readonly<Record<FieldAccess, ExplainedAccess>>>>;
  /** The fields that the caller may not read. */
  readonly closed_fields: readonly string[];
  /** How the database finds the rows of a list for this caller. */
  readonly list: QueryPlan;
}

/** The services of an Explainer. */
export interface ExplainServices {
  readonly store: Pick<Store, "explain">;
  /** Limited, because evaluating a policy on related rows may take long. */
  readonly reader: Reader;
  readonly model: () => DataModel;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Explains who may access an entity, and why. */
export class Explainer {
  readonly #services: ExplainServices;

  constructor(services: ExplainServices) {
    this.#services = services;
  }

  /**
   * @param caller the caller whose permissions are explained
   * @param id the id of a row, or null
   * @throws PylonError ENTITY_NOT_FOUND
   */
  async explain(entity: string, caller: Caller, id: string | null): Promise<Explanation> {
    const { store, reader, model } = this.#services;
    const { schema, rules } = model();
    const { name, shape } = schema.entity(entity);
    const seen = rules.seenBy(schema.entity(entity), caller).publicShape.fields;
    const row = id === null ? null : await reader.get(name, id);
    const where = rules.readable(name, caller, new Date(this.#services.now()).toISOString());
    const access = (of: Access): Promise<ExplainedAccess> => this.#access(name, of, caller, row);
    const closed = [...shape.fields.keys()].filter((field) => !seen.has(field));
    return {
      entity: name,
      caller,
      row: id === null ? null : row === null ? "missing" : "found",
      access: {
        read: await access("read"),
        insert: await access("insert"),
        update: await access("update"),
        delete: await access("delete"),
      },
      fields: await this.#fields(name, [...shape.fields.keys()], caller, row),
      closed_fields: closed,
      list: await store.explain({ entity: name, where, limit: LIST_LIMIT }),
    };
  }

  async #access(
    entity: string,
    access: Access,
    caller: Caller,
    row: StoredRow | null,
  ): Promise<ExplainedAccess> {
    const { policies } = this.#services.model();
    const parts = policies.partsOf(entity, access);
    return this.#explained(policies.rule(entity, access), parts, caller, row);
  }

  async #fields(
    entity: string,
    names: readonly string[],
    caller: Caller,
    row: StoredRow | null,
  ): Promise<Explanation["fields"]> {
    const { policies } = this.#services.model();
    const access = (field: string, of: FieldAccess): Promise<ExplainedAccess> => {
      const rule = policies.fieldRules(entity, of).get(field) ?? TRUE;
      return this.#explained(rule, policies.fieldPartsOf(entity, of, field), caller, row);
    };
    const restricted = names.filter((field) =>
      FIELD_ACCESSES.some((of) => policies.fieldPartsOf(entity, of, field).length > 0),
    );
    const explained: [string, Explanation["fields"][string]][] = [];
    for (const field of restricted)
      explained.push([
        field,
        {
          read: await access(field, "read"),
          insert: await access(field, "insert"),
          update: await access(field, "update"),
        },
      ]);
    return Object.fromEntries(explained);
  }

  async #explained(
    rule: Expr,
    parts: readonly PolicyPart[],
    caller: Caller,
    row: StoredRow | null,
  ): Promise<ExplainedAccess> {
    const outcomeOf = (expr: Expr): Promise<Outcome> =>
      caller.isAdmin ? Promise.resolve("allowed") : this.#outcome(expr, caller, row);
    return {
      outcome: await outcomeOf(rule),
      policies: await Promise.all(
        parts.map(async ({ name, text, isLimit, expr }) => ({
          name,
          rule: text,
          restrict: isLimit,
          outcome: await outcomeOf(expr),
        })),
      ),
    };
  }

  /** Explains an update as one that does not change the row. */
  async #outcome(expr: Expr, caller: Caller, row: StoredRow | null): Promise<Outcome> {
    const now = this.#services.now();
    const env =
      row === null
        ? { auth: caller, now: new Date(now).toISOString() }
        : new RuleEnv(caller, now, row, row);
    const bound = bind(expr, env);
    if (isTrue(bound)) return "allowed";
    if (isFalse(bound)) return "refused";
    if (row === null) return "depends";
    return (await this.#services.reader.test(bound)) ? "allowed" : "refused";
  }
}
