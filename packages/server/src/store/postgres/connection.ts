import { hash } from "node:crypto";
import type { ClientBase, QueryConfig, QueryResult } from "pg";
import type { Value } from "../store.ts";
import { VALUE_PARSERS } from "./codec.ts";
import { isStaleStatement } from "./errors.ts";

/** What a column holds once it was parsed. */
export type ColumnRow = Record<string, Value>;

/** Distinct statements that connections keep prepared: beyond it they are parsed each time, so that a server's memory is bounded. */
const MAX_NAMED = 500;

/**
 * The names of prepared statements. A name is a hash of its text, so two processes that share a server's connection through a pooler
 * mean the same by it. When a pooler turns out to lose them, all statements go unnamed from then on, which is always safe.
 */
export class StatementNames {
  readonly #names = new Map<string, string>();
  #isOn = true;

  nameOf(text: string): string | undefined {
    if (!this.#isOn) return undefined;
    const known = this.#names.get(text);
    if (known !== undefined) return known;
    if (this.#names.size >= MAX_NAMED) return undefined;
    const name = `pylon_${hash("sha256", text, "hex").slice(0, 24)}`;
    this.#names.set(text, name);
    return name;
  }

  /** Stops naming when the error says that names can't be relied on. @returns whether it did: then the work may be tried again */
  learnFrom(error: unknown): boolean {
    if (!this.#isOn || !isStaleStatement(error)) return false;
    this.#isOn = false;
    return true;
  }
}

/** Runs one statement with its parameters. */
export function runOn(client: ClientBase, names: StatementNames, text: string, params: readonly (Value | readonly Value[])[]): Promise<QueryResult<ColumnRow>> {
  const name = names.nameOf(text);
  const query: QueryConfig = { text, values: params as unknown[], types: VALUE_PARSERS, ...(name === undefined ? {} : { name }) };
  return client.query<ColumnRow>(query);
}
