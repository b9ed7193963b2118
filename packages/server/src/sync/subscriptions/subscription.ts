import {
  compilePredicate,
  isTrue,
  type Env,
  type Expr,
  type Order,
  type Values,
} from "@pylonsync/query";
import { BroadcastGroup } from "../../connections/broadcast-group.ts";
import type { Caller } from "../../identity/identity.ts";
import type { RowKey } from "../../policy/audience.ts";
import type { StoredRow, Value } from "../../store/store.ts";
import type { ExistsPlan, RightsPlan } from "../related/rights-plan.ts";
import type { Window } from "./window.ts";

/** What is asked for: the rows of an entity that meet a condition, or the first ones of them. */
export interface SubscriptionQuery {
  readonly entity: string;
  /** Reads `data` only. */
  readonly where: Expr;
  readonly order: readonly Order[];
  readonly limit: number | undefined;
}

/** Rows that are being read for members to come, who must hear what changes meanwhile. */
export interface OngoingLoad {
  /** A row that is or was in the subscription changed. */
  touched(rowId: string, wasIn: boolean, after: StoredRow | null): void;
  /** Rows came or went because of a related row: what was read may be wrong. */
  rightsMoved(): void;
}

/** A row of the subscription has one of these, or is named by related rows. */
export type SubscriptionKey = RowKey | { readonly exists: ExistsPlan; readonly value: Value };

/**
 * Rows that callers with equal rights are kept up to date on: those that meet the read policy and
 * the query's condition. One for all who ask for the same with the same rights.
 */
export class Subscription {
  /** Its name in messages. */
  readonly number: number;
  /** Names what is asked for, and the rights: who asks for the same shares the subscription. */
  readonly fingerprint: string;
  /**
   * Names what a client's knowledge counts in: what was known under another name can't be
   * continued. Windows over one condition have the same, whatever their order and limit, because
   * their clients name the rows that they have.
   */
  readonly knownUnder: string;
  readonly query: SubscriptionQuery;
  /** One of those who subscribe; all have the same rights here. */
  readonly caller: Caller;
  /** The read policy bound to the caller, and the query's condition. The time is open. */
  readonly truth: Expr;
  readonly rights: RightsPlan;
  readonly window: Window | null;
  /** Null: any row may be in it. */
  readonly keys: readonly SubscriptionKey[] | null;
  /** Replicas of whole entities, which are told change by change (version 1). */
  readonly replicas = new BroadcastGroup();
  /** Connections that are told by commits (version 2). */
  readonly members = new BroadcastGroup();
  readonly loads = new Set<OngoingLoad>();
  /** Somebody waits to become a member. */
  isAwaited = false;
  readonly #matches: ((env: Env) => boolean) | null;

  constructor(
    parts: Pick<
      Subscription,
      | "number"
      | "fingerprint"
      | "knownUnder"
      | "query"
      | "caller"
      | "truth"
      | "rights"
      | "window"
      | "keys"
    >,
  ) {
    this.number = parts.number;
    this.fingerprint = parts.fingerprint;
    this.knownUnder = parts.knownUnder;
    this.query = parts.query;
    this.caller = parts.caller;
    this.truth = parts.truth;
    this.rights = parts.rights;
    this.window = parts.window;
    this.keys = parts.keys;
    this.#matches = isTrue(parts.query.where) ? null : compilePredicate(parts.query.where);
  }

  get entity(): string {
    return this.query.entity;
  }

  get isUnused(): boolean {
    return this.replicas.size === 0 && this.members.size === 0 && !this.isAwaited;
  }

  /** Whether the answers of `exists` are needed to tell whether a row is in it. */
  get looksAtRights(): boolean {
    return !this.caller.isAdmin && this.rights.exists.length > 0;
  }

  /**
   * Whether a row is in it.
   *
   * @param env its time, and as `input` what the policy's `exists` find
   */
  holds(row: StoredRow, env: { readonly now: string; readonly input?: Values }): boolean {
    if (this.#matches !== null && !this.#matches({ data: row, now: env.now })) return false;
    return this.caller.isAdmin || this.rights.predicate(new SubscriptionEnv(row, this.caller, env));
  }
}

/** The time is written out only when the policy looks at it. */
class SubscriptionEnv implements Env {
  readonly data: StoredRow;
  readonly auth: Caller;
  readonly #env: { readonly now: string; readonly input?: Values };

  constructor(
    data: StoredRow,
    auth: Caller,
    env: { readonly now: string; readonly input?: Values },
  ) {
    this.data = data;
    this.auth = auth;
    this.#env = env;
  }

  get input(): Values | undefined {
    return this.#env.input;
  }

  get now(): string {
    return this.#env.now;
  }
}
