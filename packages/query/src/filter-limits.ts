import { invalidQuery } from "./errors.ts";
import {
  MAX_LIST_VALUES,
  MAX_LISTED_VALUES,
  MAX_NEEDLE_LENGTH,
  MAX_NODES,
  MAX_RELATED,
  MAX_SEARCHES,
} from "./limits.ts";

/**
 * Counts the parts of a filter, including those on related rows, against the limits that protect a
 * server. A client does not count, because it only tests its own rows: the server checks what it is
 * asked for.
 */
export class FilterLimits {
  #conditions = 0;
  #listed = 0;
  #searches = 0;
  #related = 0;

  /** @throws QueryError INVALID_QUERY with the place `at`, as all of these */
  conditions(count: number, at: string): void {
    this.#conditions += count;
    refuseAbove(
      MAX_NODES,
      this.#conditions,
      `A filter can have at most ${MAX_NODES} conditions.`,
      at,
    );
  }

  /** Counts the values of one list. */
  list(values: number, at: string): void {
    refuseAbove(MAX_LIST_VALUES, values, `${at} can have at most ${MAX_LIST_VALUES} values.`, at);
    this.#listed += values;
    const message = `A filter can list at most ${MAX_LISTED_VALUES} values.`;
    refuseAbove(MAX_LISTED_VALUES, this.#listed, message, at);
  }

  /** Counts a test that scans a whole value. */
  search(at: string): void {
    this.#searches += 1;
    const message = `A filter can have at most ${MAX_SEARCHES} $like, $ilike, $has and $hasAny.`;
    refuseAbove(MAX_SEARCHES, this.#searches, message, at);
  }

  /** Counts a condition on related rows. */
  related(at: string): void {
    this.#related += 1;
    const message = `A filter can have at most ${MAX_RELATED} conditions on related rows.`;
    refuseAbove(MAX_RELATED, this.#related, message, at);
  }

  /** Checks a text to search for. */
  text(text: string, at: string): void {
    const message = `${at} can have at most ${MAX_NEEDLE_LENGTH} characters.`;
    refuseAbove(MAX_NEEDLE_LENGTH, text.length, message, at);
  }
}

function refuseAbove(most: number, count: number, message: string, field: string): void {
  if (count > most) invalidQuery(field, message);
}
