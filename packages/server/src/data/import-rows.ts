import { MAX_IMPORT_ERRORS, type PylonError } from "@pylonsync/protocol";
import { toPublicError } from "../request/responses.ts";
import type { Caller } from "../identity/identity.ts";
import { splitId } from "../schema/row-input.ts";
import type { CommitUnit, Committer, PieceOutcome } from "./commit.ts";
import type { ImportItem, ImportRow } from "./import-source.ts";

/** The number of rows per transaction. */
const BATCH = 500;

/** What an import does with a row whose id exists: reject it, or update its fields. */
export type ImportMode = "insert" | "upsert";

interface ImportError {
  readonly line: number;
  /** Of a file with columns, if the failure is about one. */
  readonly column?: number | undefined;
  readonly entity?: string | undefined;
  readonly id?: string | undefined;
  readonly code: string;
  readonly message: string;
  readonly field?: string | undefined;
}

interface EntityCounts {
  inserted: number;
  updated: number;
  failed: number;
}

/** The result of an import. */
export interface ImportReport {
  readonly imported: number;
  readonly updated: number;
  readonly failed: number;
  readonly by_entity: readonly ({ readonly entity: string } & Readonly<EntityCounts>)[];
  /** The first MAX_IMPORT_ERRORS of the failures, in the order of the rows. */
  readonly errors: readonly ImportError[];
}

type Written = "inserted" | "updated";

/** Writes the rows of an import, each independently: a rejected row does not affect the others. */
export class Importer {
  readonly #committer: Committer;
  readonly #caller: Caller;
  readonly #mode: ImportMode;
  readonly #counts = new Map<string, EntityCounts>();
  readonly #errors: ImportError[] = [];
  /** The number of failures that belong to no entity of the app. */
  #nameless = 0;

  constructor(committer: Committer, caller: Caller, mode: ImportMode) {
    this.#committer = committer;
    this.#caller = caller;
    this.#mode = mode;
  }

  get report(): ImportReport {
    const parts = [...this.#counts].map(([entity, counts]) => ({ entity, ...counts }));
    const sum = (key: keyof EntityCounts): number =>
      parts.reduce((total, part) => total + part[key], 0);
    return {
      imported: sum("inserted"),
      updated: sum("updated"),
      failed: sum("failed") + this.#nameless,
      by_entity: parts,
      errors: this.#errors,
    };
  }

  /**
   * @param beforeBatch called before rows are written; an error that it throws ends the import
   * @throws the error of the source; the rows before it are written
   */
  async run(items: AsyncIterable<ImportItem>, beforeBatch: () => Promise<void>): Promise<void> {
    let batch: ImportItem[] = [];
    const write = async (): Promise<void> => {
      const rows = batch;
      batch = [];
      await beforeBatch();
      await this.#write(rows);
    };
    try {
      for await (const item of items) {
        batch.push(item);
        if (batch.length === BATCH) await write();
      }
    } finally {
      if (batch.length > 0) await write();
    }
  }

  async #write(items: readonly ImportItem[]): Promise<void> {
    const rows = items.filter((item): item is ImportRow => "row" in item);
    const outcomes = await this.#committer.commitEach(rows.map((row) => this.#piece(row)));
    const byRow = new Map(rows.map((row, index) => [row, outcomes[index]]));
    for (const item of items) {
      if ("row" in item) this.#record(item, byRow.get(item));
      else {
        const { line, entity, column, error } = item;
        if (entity === undefined) this.#nameless += 1;
        else this.#countsOf(entity).failed += 1;
        this.#fail({ line, ...given({ column, entity }) }, error);
      }
    }
  }

  #piece({ entity, row }: ImportRow): CommitUnit<Written> {
    return {
      options: { caller: this.#caller, writesOnly: [entity], references: "unchecked" },
      work: async (writer) => {
        const { id, fields } = split(row);
        const mayExist = this.#mode === "upsert" && typeof id === "string";
        if (mayExist && (await writer.has(entity, id))) {
          await writer.update(entity, id, fields);
          return "updated";
        }
        await writer.insert(entity, fields, id);
        return "inserted";
      },
    };
  }

  #record(
    { line, entity, row, columns }: ImportRow,
    outcome: PieceOutcome<Written> | undefined,
  ): void {
    if (outcome !== undefined && !("error" in outcome)) {
      this.#countsOf(entity)[outcome.committed.result] += 1;
      return;
    }
    const refusal = toPublicError(outcome?.error);
    if (refusal === undefined) throw outcome?.error;
    // A name that is not an entity's can be any text, and there may be a million of them, so they
    // are counted together.
    if (refusal.code === "ENTITY_NOT_FOUND") this.#nameless += 1;
    else this.#countsOf(entity).failed += 1;
    const { id } = split(row);
    // Of a value inside of a field, such as tags[0], it is the field's column.
    const column = columns?.get(refusal.field?.split(/[.[]/)[0] ?? "");
    const shownId = typeof id === "string" ? id.slice(0, 80) : undefined;
    this.#fail({ line, entity, ...given({ column, id: shownId }) }, refusal);
  }

  #countsOf(entity: string): EntityCounts {
    const counts = this.#counts.get(entity) ?? { inserted: 0, updated: 0, failed: 0 };
    this.#counts.set(entity, counts);
    return counts;
  }

  #fail(
    at: Pick<ImportError, "line" | "column" | "entity" | "id">,
    { code, message, field }: PylonError,
  ): void {
    if (this.#errors.length >= MAX_IMPORT_ERRORS) return;
    this.#errors.push({ ...at, code, message, ...(field === undefined ? {} : { field }) });
  }
}

/** Leaves out what is undefined. */
function given<T extends object>(parts: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(parts).filter(([, value]) => value !== undefined),
  ) as Partial<T>;
}

/** An invalid id is rejected by the insert. */
function split(row: unknown): { readonly id: unknown; readonly fields: unknown } {
  const { id, fields } = splitId(row);
  return { id: id ?? undefined, fields };
}
