/** A fault that is planted into the server's code, to show that the oracle detects it. */
export interface Fault {
  readonly name: string;
  /** The file, relative to packages/server/src. */
  readonly file: string;
  /** A text that the file contains once, and the text that replaces it. */
  readonly from: string;
  readonly to: string;
  /** The seed of a scenario of `FAULT_SIZE` that finds it, or the name of a test that does. */
  readonly foundBy: number | string;
  /** It is found only if changes fall between two reads, so it is looked for by hand. */
  readonly isTimed?: true;
}

/** The size of the scenarios that look for faults. */
export const FAULT_SIZE = { steps: 14, queries: 6 };

const CURSORS = "sync/live/loading/cursors.ts";
const MISSED = "sync/live/loading/missed-rows.ts";
const WINDOW = "sync/live/loading/window-rows.ts";
const INCLUDED = "sync/live/loading/included-rows.ts";
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
    foundBy: 5,
  },
  {
    name: "a window that lost a row is not refilled",
    file: "sync/subscriptions/window.ts",
    from: "return this.#hasMore && this.#entries.length < this.limit;",
    to: "return false;",
    foundBy: 2,
  },
  {
    name: "a row that leaves a window stays on the client",
    file: "sync/subscriptions/window.ts",
    from: "return { entered, stayed, left: [...left] };",
    to: "return { entered, stayed, left: [] };",
    foundBy: 2,
  },
  {
    name: "the log of a returning client starts one change too late",
    file: MISSED,
    from: "record.seq > (known?.seq ?? 0)",
    to: "record.seq > (known?.seq ?? 0) + 1",
    foundBy: "receives the first change",
  },
  {
    name: "a returning client is sent past versions",
    file: MISSED,
    from: "const row = records.at(-1)?.after ?? null;",
    to: "const row = records[0]?.after ?? null;",
    foundBy: "regression 1",
  },
  {
    name: "the cursor of another user, or of other permissions, is continued",
    file: CURSORS,
    from: "withIncludes(`${queue.epoch}.${knownUnder}",
    to: "withIncludes(`${queue.epoch}.${knownUnder.slice(32)}",
    foundBy: 24,
  },
  {
    name: "permissions that changed while a client was away are ignored",
    file: CURSORS,
    from: "after: Math.max(after, moved?.seq ?? 0)",
    to: "after: moved === null ? 0 : after",
    foundBy: "loses the rows",
  },
  {
    name: "a window keeps rows that changed while the client was away",
    file: WINDOW,
    from: "if (entity === subscription.entity && seq > known.seq) ids.delete(rowId);",
    to: "if (seq < 0) ids.delete(rowId + entity);",
    foundBy: 7,
  },
  {
    name: "changes that arrive while rows are read are lost",
    file: "sync/live/loading/load.ts",
    from: "this.changed.set(rowId, {",
    to: "new Map<string, object>().set(rowId, {",
    foundBy: 5,
    isTimed: true,
  },
  {
    name: "related rows stay as they were read first",
    file: "sync/related/related-rows.ts",
    from: "index.find(record.before, found);\n    index.find(record.after, found);",
    to: "",
    foundBy: 1,
  },
  {
    name: "rows move one way only where an `exists` is negated",
    file: "sync/delivery.ts",
    from: 'if (kind === "update" || isNegated(truth, entity, false))',
    to: 'if (kind === "update")',
    foundBy: 8,
  },
  {
    name: "an `or` is looked up by the key of one of its parts",
    file: "policy/audience.ts",
    from: "all.push(...keys);",
    to: "if (all.length === 0) all.push(...keys);",
    foundBy: 19,
  },
  {
    name: "a changed row is not looked up in the filters that read it before the change",
    file: "sync/subscriptions/registry.ts",
    from: "index?.find(change.before, found);",
    to: "",
    foundBy: 5,
  },
  {
    name: "an update of a related row moves nothing",
    file: "policy/rewind.ts",
    from: "for (const name of fields) if (before[name] !== after[name]) return true;",
    to: "",
    foundBy: 5,
  },
  {
    name: "included rows stay when no row leads to them any longer",
    file: TREES,
    from: "for (const key of gone) rows.drop(key);",
    to: "",
    foundBy: 2,
  },
  {
    name: "the included rows of a new row are not read",
    file: TREES,
    from: "const wanted = [...[...keys].filter((key) => !former.has(key)), ...lacking];",
    to: "const wanted = [...lacking];",
    foundBy: 1,
  },
  {
    name: "the log of included rows starts one change too late",
    file: INCLUDED,
    from: "if (entity === part.entity && seq > since) kept.delete(rowId);",
    to: "if (entity === part.entity && seq > since + 1) kept.delete(rowId);",
    foundBy: 43,
  },
  {
    name: "removed included rows are not reported",
    file: INCLUDED,
    from: "const gone = ids.filter((id) => !shown.has(id));",
    to: "const gone: string[] = [];",
    foundBy: 7,
  },
  {
    name: "changes that are committed while included rows are read are ignored",
    file: INCLUDED,
    from: "later === null ? null : [...(log?.records ?? []), ...later];",
    to: "later === null ? null : [...(log?.records ?? [])];",
    foundBy: "changes that are committed",
    isTimed: true,
  },
];
