import {
  MAX_ORDER_CHARACTERS,
  MAX_SUBSCRIPTION_CHARACTERS,
  MAX_SUBSCRIPTION_SEARCHES,
  PylonError,
} from "@pylonsync/protocol";
import { nodesOf, type Expr } from "@pylonsync/query";
import type { SubscriptionQuery } from "../subscriptions/subscription.ts";

/**
 * What a subscription costs while it exists: the memory for its query or arguments, and the time
 * for each change of a row.
 */
export interface SubscriptionWeight {
  /** The length of the query or the arguments, as JSON. */
  readonly characters: number;
  /** The number of conditions that scan a whole value. */
  readonly searches: number;
}

const SEARCHES: ReadonlySet<Expr["kind"]> = new Set(["contains", "containsFolded", "has"]);

/**
 * Checks the subscriptions of a connection together with another one.
 *
 * @throws PylonError SUBSCRIPTION_LIMIT_REACHED
 */
export function checkWeight(now: SubscriptionWeight, added: SubscriptionWeight): void {
  if (now.characters + added.characters > MAX_SUBSCRIPTION_CHARACTERS)
    throw tooMany(`${MAX_SUBSCRIPTION_CHARACTERS} characters of queries and arguments`);
  if (now.searches + added.searches > MAX_SUBSCRIPTION_SEARCHES)
    throw tooMany(`${MAX_SUBSCRIPTION_SEARCHES} conditions with $like, $ilike, $has and $hasAny`);
}

/**
 * Checks what is kept of the rows that a subscription, or an included relation of it, shows.
 *
 * @throws PylonError RESULT_TOO_LARGE
 */
export function checkOrder({ characters }: { readonly characters: number }): void {
  if (characters <= MAX_ORDER_CHARACTERS) return;
  throw new PylonError(
    "RESULT_TOO_LARGE",
    `The values that the rows are ordered by have more than ${MAX_ORDER_CHARACTERS} characters.`,
    { hint: "Order by a field with shorter values, or reduce the limit." },
  );
}

/** The length of what is kept of a request: not the rows that its client knows. */
export function keptCharacters(request: object): number {
  return JSON.stringify({ ...request, known: undefined }).length;
}

/** The number of conditions of a query, and of its included related rows, that scan a value. */
export function searchesIn({
  where,
  branches = [],
}: Pick<SubscriptionQuery, "where" | "branches">): number {
  let count = 0;
  for (const { kind } of nodesOf(where)) if (SEARCHES.has(kind)) count += 1;
  for (const branch of branches) count += searchesIn(branch);
  return count;
}

function tooMany(what: string): PylonError {
  return new PylonError(
    "SUBSCRIPTION_LIMIT_REACHED",
    `The subscriptions of a connection may have at most ${what} in total.`,
    { hint: "Unsubscribe from queries that are no longer shown, or ask for less." },
  );
}
