import type { ClaimValue } from "@pylonsync/query";
import type { Entity, TermsOf } from "../entity.ts";
import { existsOf, fieldOf, Term, written, type Condition, type NamedRow } from "./term.ts";

/** The caller, in a rule. */
export interface AuthTerms {
  readonly userId: Term<string>;
  readonly tenantId: Term<string>;
  readonly isAdmin: Condition;
  readonly isGuest: Condition;
  readonly isTrustedDevice: Condition;
  readonly apiKeyId: Term<string>;
  readonly roles: Term<readonly string[]>;
  readonly apiKeyScopes: Term<readonly string[]>;
  hasRole(role: string): Condition;
  hasAnyRole(...roles: readonly [string, ...string[]]): Condition;
  /** A claim of the user, by name. Its type is that of the value that it is compared with. */
  claim<T extends ClaimValue>(name: string): Term<T>;
}

/** The building blocks of a rule that only depends on the caller. */
export interface CallerParts {
  readonly auth: AuthTerms;
  and(...conditions: readonly (Condition | boolean)[]): Condition;
  or(...conditions: readonly (Condition | boolean)[]): Condition;
  not(condition: Condition | boolean): Condition;
}

/** The building blocks of a rule about rows of an entity. */
export interface RuleParts<E> extends CallerParts {
  /** The row; in an update, the row after the update. */
  readonly row: TermsOf<E>;
  /** The time of the request. */
  readonly now: Term<string>;
  /**
   * True if another entity has a row that satisfies the condition. An inner `exists` may refer to
   * rows of an outer one.
   */
  exists<R extends Entity>(entity: R, where: (row: TermsOf<R>) => Condition | boolean): Condition;
}

/** The building blocks of a rule about updates. */
export interface UpdateParts<E> extends RuleParts<E> {
  /** The row before the update. */
  readonly old: TermsOf<E>;
}

/** Returns a rule as a policy string. @param entity the entity of the policy */
export function ruleText(
  entity: Entity,
  rule: (parts: UpdateParts<Entity>) => Condition | boolean,
): string {
  const parts: UpdateParts<Entity> = {
    ...CALLER_PARTS,
    row: rowTerms(entity, { root: "data" }),
    old: rowTerms(entity, { root: "old" }),
    now: new Term(() => "now()"),
    exists: (other, where) => {
      const row = {};
      return existsOf(other.name, row, where(rowTerms(other, row)));
    },
  };
  return written(rule(parts), { rows: [], names: new Map() });
}

const authPath = <T>(name: string): Term<T> => new Term(() => `auth.${name}`);

const AUTH: AuthTerms = {
  userId: authPath("userId"),
  tenantId: authPath("tenantId"),
  isAdmin: authPath("isAdmin"),
  isGuest: authPath("isGuest"),
  isTrustedDevice: authPath("isTrustedDevice"),
  apiKeyId: authPath("apiKeyId"),
  roles: authPath("roles"),
  apiKeyScopes: authPath("apiKeyScopes"),
  hasRole: (role) => new Term((place) => `auth.hasRole(${written(role, place)})`),
  hasAnyRole: (...roles) =>
    new Term((place) => `auth.hasAnyRole(${roles.map((role) => written(role, place)).join(", ")})`),
  claim: (name) => authPath(`claims.${name}`),
};

const CALLER_PARTS: CallerParts = {
  auth: AUTH,
  and: (...conditions) => joined(" && ", "true", conditions),
  or: (...conditions) => joined(" || ", "false", conditions),
  not: (condition) => new Term((place) => `!(${written(condition, place)})`),
};

function joined(
  joint: string,
  ofNone: string,
  conditions: readonly (Condition | boolean)[],
): Condition {
  return new Term((place) =>
    conditions.length === 0
      ? ofNone
      : `(${conditions.map((one) => written(one, place)).join(joint)})`,
  );
}

/** @throws Error for an unknown field */
function rowTerms<E extends Entity>(entity: E, row: NamedRow): TermsOf<E> {
  const names = new Set(["id", ...entity.fields.map(({ name }) => name)]);
  const terms: Record<string, Term<unknown>> = {};
  const checked = new Proxy(terms, {
    get(_target, name) {
      if (typeof name === "string" && names.has(name)) return fieldOf(row, name);
      throw new Error(
        `${entity.name} has no field "${String(name)}". It has: ${[...names].join(", ")}.`,
      );
    },
  });
  // The proxy has a term for each field of the type.
  return checked as TermsOf<E>;
}
