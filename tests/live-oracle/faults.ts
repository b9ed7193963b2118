/** A fault that is planted into the server's code, to show that the oracle detects it. */
export interface Fault {
  readonly name: string;
  /** The file, relative to packages/server/src. */
  readonly file: string;
  /** A text that the file contains once, and the text that replaces it. */
  readonly from: string;
  readonly to: string;
  /** The seed of a scenario that detects it; null for the scenario `RETURNS`. */
  readonly seed: number | null;
}

const LOADER = "sync/live/loader.ts";
const TREES = "sync/live/include-trees.ts";

export const FAULTS: readonly Fault[] = [
  {
    name: "of several `exists` only one is put back to its state before a change",
    file: "policy/rewind.ts",
    from: "const rewound = mapChildren(expr, (child) => rewind(child, former));",
    to: `let isDone = false;
      const rewound = mapChildren(expr, (child) => {
        const isNext = !isDone;
        isDone ||= hasExists(child);
        return isNext ? rewind(child, former) : child;
      });`,
    seed: 1,
  },
  {
    name: "a window that lost a row is not refilled",
    file: "sync/subscriptions/window.ts",
    from: "return this.#hasMore && this.#entries.length < this.limit;",
    to: "return false;",
    seed: 1,
  },
  {
    name: "a row that leaves a window stays on the client",
    file: "sync/subscriptions/window.ts",
    from: "return { entered, stayed, left: [...left] };",
    to: "return { entered, stayed, left: [] };",
    seed: 1,
  },
  {
    name: "the log of a returning client starts one change too late",
    file: LOADER,
    from: "record.seq > (known?.seq ?? 0)",
    to: "record.seq > (known?.seq ?? 0) + 1",
    seed: 1,
  },
  {
    name: "a returning client is sent past versions",
    file: LOADER,
    from: "const row = records.at(-1)?.after ?? null;",
    to: "const row = records[0]?.after ?? null;",
    seed: 1,
  },
  {
    name: "the cursor of another user, or of other permissions, is continued",
    file: LOADER,
    from: "return `${line.epoch}.${knownUnder}",
    to: "return `${line.epoch}.${knownUnder.slice(32)}",
    seed: 1,
  },
  {
    name: "permissions that changed while a client was away are ignored",
    file: LOADER,
    from: "after: Math.max(after, moved?.seq ?? 0)",
    to: "after: moved === null ? 0 : after",
    seed: 1,
  },
  {
    name: "a window keeps rows that changed while the client was away",
    file: LOADER,
    from: "if (entity === subscription.entity && seq > known.seq) ids.delete(rowId);",
    to: "if (seq < 0) ids.delete(rowId + entity);",
    seed: 1,
  },
  {
    name: "changes that arrive while rows are read are lost",
    file: "sync/live/load.ts",
    from: "this.changed.set(rowId, {",
    to: "new Map<string, object>().set(rowId, {",
    seed: 1,
  },
  {
    name: "related rows stay as they were read first",
    file: "sync/related/related-rows.ts",
    from: "index.find(record.before, found);\n    index.find(record.after, found);",
    to: "",
    seed: 1,
  },
  {
    name: "rows move one way only where an `exists` is negated",
    file: "sync/delivery.ts",
    from: 'if (kind === "update" || isNegated(truth, entity, false))',
    to: 'if (kind === "update")',
    seed: 1,
  },
  {
    name: "an `or` is looked up by the key of one of its parts",
    file: "policy/audience.ts",
    from: "all.push(...keys);",
    to: "if (all.length === 0) all.push(...keys);",
    seed: 1,
  },
  {
    name: "a changed row is not looked up in the filters that read it before the change",
    file: "sync/subscriptions/registry.ts",
    from: "index?.find(before, found);",
    to: "",
    seed: 1,
  },
  {
    name: "included rows stay when no row leads to them any longer",
    file: TREES,
    from: "for (const key of gone) rows.drop(key);",
    to: "",
    seed: 1,
  },
  {
    name: "the included rows of a new row are not read",
    file: TREES,
    from: "const wanted = [...[...keys].filter((key) => !former.has(key)), ...lacking];",
    to: "const wanted = [...lacking];",
    seed: 1,
  },
  {
    name: "the log of included rows starts one change too late",
    file: LOADER,
    from: "if (entity === part.entity && seq > since) kept.delete(rowId);",
    to: "if (entity === part.entity && seq > since + 1) kept.delete(rowId);",
    seed: 1,
  },
  {
    name: "removed included rows are not reported",
    file: LOADER,
    from: "const gone = ids.filter((id) => !shown.has(id));",
    to: "const gone: string[] = [];",
    seed: 1,
  },
  {
    name: "changes that are committed while included rows are read are ignored",
    file: LOADER,
    from: "later === null ? null : [...(log?.records ?? []), ...later];",
    to: "later === null ? null : [...(log?.records ?? [])];",
    seed: null,
  },
];
