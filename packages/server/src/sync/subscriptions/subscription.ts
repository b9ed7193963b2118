import {
  and,
  bind,
  compilePredicate,
  conjuncts,
  hasExists,
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
import type { VisibleRow } from "../change-messages.ts";
import type { KeyedWindow } from "./keyed-window.ts";
import type { ShownRows, Window } from "./window.ts";

/** What is asked for: the rows of an entity that meet a condition, or the first ones of them. */
export interface SubscriptionQuery {
  readonly entity: string;
  /** Bound to the caller: it reads `data`, and what it asks of other rows it asks by `exists`. */
  readonly where: Expr;
  readonly order: readonly Order[];
  readonly limit: number | undefined;
  /** Related rows that come along. */
  readonly branches?: readonly BranchQuery[];
}

/** Which rows come along with the rows of a subscription: those that the rows lead to. */
export interface BranchQuery extends Omit<SubscriptionQuery, "branches"> {
  /** What the client calls it: the relation. */
  readonly name: string;
  /** The field of the parents that leads to the rows. */
  readonly key: string;
  /** The field of the rows that equals it. */
  readonly field: string;
  readonly branches: readonly BranchQuery[];
}

/** Related rows of a subscription: a subscription of its own, whose keys follow the rows. */
export interface Branch {
  readonly query: BranchQuery;
  readonly subscription: Subscription;
  readonly rows: KeyedWindow;
}

/** Rows that are being read for members to come, who must hear what changes meanwhile. */
export interface OngoingLoad {
  /** A row that is or was in the subscription changed. */
  touched(rowId: string, wasIn: boolean, after: StoredRow | null): void;
  /** The rows that were read may be wrong, so they are read again. */
  invalidate(): void;
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
  /** What the query asks of related rows, likewise; null where it asks nothing of them. */
  readonly asked: RightsPlan | null;
  /** What of a row leaves for those who subscribe. */
  readonly visible: VisibleRow;
  readonly window: Window | null;
  /** Of related rows: what they are shown by. */
  readonly related: KeyedWindow | null;
  /** The field of related rows that names their parents. */
  readonly parentField: string | null;
  /** The subscription of which these are related rows; itself where they are its own. */
  readonly root: Subscription;
  readonly branches: Branch[] = [];
  /** Null: any row may be in it. */
  readonly keys: readonly SubscriptionKey[] | null;
  /** Replicas of whole entities, which are told change by change (version 1). */
  readonly replicas = new BroadcastGroup();
  /** Connections that are told by commits (version 2). */
  readonly members = new BroadcastGroup();
  readonly loads = new Set<OngoingLoad>();
  /** How many loads and joiners wait to add members. */
  awaiting = 0;
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
      | "asked"
      | "visible"
      | "window"
      | "keys"
    > & {
      readonly branch?: {
        readonly root: Subscription;
        readonly rows: KeyedWindow;
        readonly field: string;
      };
    },
  ) {
    this.number = parts.number;
    this.fingerprint = parts.fingerprint;
    this.knownUnder = parts.knownUnder;
    this.query = parts.query;
    this.caller = parts.caller;
    this.truth = parts.truth;
    this.rights = parts.rights;
    this.asked = parts.asked;
    this.visible = parts.visible;
    this.window = parts.window;
    this.related = parts.branch?.rows ?? null;
    this.parentField = parts.branch?.field ?? null;
    this.root = parts.branch?.root ?? this;
    this.keys = parts.keys;
    const own = and(...conjuncts(parts.query.where).filter((part) => !hasExists(part)));
    this.#matches = isTrue(own) ? null : compilePredicate(own);
  }

  get entity(): string {
    return this.query.entity;
  }

  /** Where it shows only the first rows, or those of parents. */
  get shown(): ShownRows | null {
    return this.window ?? this.related;
  }

  /** It, and all related rows at all levels, parents first. */
  get parts(): readonly Subscription[] {
    return [this, ...this.branches.flatMap(({ subscription }) => subscription.parts)];
  }

  /** The condition at a time. @param now milliseconds since 1970 */
  truthAt(now: number): Expr {
    return bind(this.truth, { now: new Date(now).toISOString() });
  }

  get isUnused(): boolean {
    return this.replicas.size === 0 && this.members.size === 0 && this.awaiting === 0;
  }

  /** Whether the answers of `exists` are needed to tell whether a row is in it. */
  get looksAtRights(): boolean {
    return !this.caller.isAdmin && this.rights.exists.length > 0;
  }

  /** Whether a row has the key and the values of its own that those in it have. */
  matches(row: StoredRow, now: string): boolean {
    if (this.related?.holdsKey(row[this.parentField ?? ""] ?? null) === false) return false;
    return this.#matches === null || this.#matches({ data: row, now });
  }

  /**
   * Whether the related rows are as the query asks.
   *
   * @param found what its `exists` find
   */
  asksFor(row: StoredRow, now: string, found: Values): boolean {
    return this.asked?.predicate({ data: row, now, input: found }) !== false;
  }

  /**
   * Whether those who subscribe may read a row.
   *
   * @param env its time, and as `input` what the policy's `exists` find
   */
  allows(
    row: StoredRow,
    env: { readonly now: string; readonly input?: Values | undefined },
  ): boolean {
    return this.caller.isAdmin || this.rights.predicate(new SubscriptionEnv(row, this.caller, env));
  }
}

/** The time is written out only when the policy looks at it. */
class SubscriptionEnv implements Env {
  readonly data: StoredRow;
  readonly auth: Caller;
  readonly #env: { readonly now: string; readonly input?: Values | undefined };

  constructor(
    data: StoredRow,
    auth: Caller,
    env: { readonly now: string; readonly input?: Values | undefined },
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
