import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

// A typo in an app with registered types does not compile, and the compiler's message names what
// exists: the app of tests/types has the entities Bug, Report, Tag and Task.

const root = join(import.meta.dir, "..", "..");
mkdirSync(join(root, "node_modules", ".cache"), { recursive: true });
const dir = mkdtempSync(join(root, "node_modules", ".cache", "typos-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const ENTITIES = '"Bug" | "Report" | "Tag" | "Task"';
const FUNCTIONS = '"countTasks" | "messages.send" | "rename"';
const STATES = '"done" | "open"';
/** The calls of hooks that accept an entity's name and options, each up to its options. */
const LISTS = [
  "db.useQuery(",
  "db.useInfiniteQuery(",
  "db.usePaginatedQuery(",
  "db.useSuspenseQuery(",
  "react.useQuery(sync, ",
  "react.useInfiniteQuery(sync, ",
  "react.usePaginatedQuery(sync, ",
  "react.useSuspenseQuery(sync, ",
  "vue.useQuery(",
  "svelte.useQuery(",
  "solid.useQuery(",
];
const ROWS = ["db.useQueryOne(", "react.useQueryOne(sync, ", "react.useSuspenseQueryOne(sync, "];
const FUNCTION_HOOKS = ["db.useFunction(", "react.useFunction(", "react.useSuspenseFunction("];
const BINDINGS = ["vue", "svelte", "solid"];
const CALLS = ["db.useMutation(", "react.useMutation(", "react.useFn(", "db.fn("];

/** Each typo with the parts that the message must contain. */
const TYPOS: readonly (readonly [code: string, ...parts: string[]])[] = [
  ...LISTS.flatMap((list): [string, ...string[]][] => [
    [`${list}"Taks")`, ENTITIES],
    [`${list}"Task", { where: { colour: 1 } })`, "'colour'", "rank?:", "slug?:", "title?:"],
    [`${list}"Task", { where: { titel: "a" } })`, "Did you mean to write 'title'?"],
    [`${list}"Bug", { where: { state: "opne" } })`, STATES],
    [`${list}"Bug", { where: { state: { $in: ["opne"] } } })`, STATES],
    [`${list}"Task", { orderBy: { colour: "asc" } })`, "'colour'", "rank?:", "title?:"],
    [`${list}"Tag", { include: { nope: true } })`, "'nope'", "task?:"],
    [`${list}"Tag", { include: { task: { include: { nope: true } } } })`, "'nope'", "bugs?:"],
  ]),
  ...[...ROWS, ...BINDINGS.map((name) => `${name}.useQueryOne(`)].map((row): [string, string] => [
    `${row}"Taks", "1")`,
    ENTITIES,
  ]),
  ...[...FUNCTION_HOOKS, ...BINDINGS.map((name) => `${name}.useFunction(`)].flatMap(
    (hook): [string, ...string[]][] => [
      [`${hook}"countTaks")`, FUNCTIONS],
      [`${hook}"countTasks", { colour: 1 })`, "'colour'", "rank?: number"],
      [`${hook}"countTasks", { rank: "1" })`, "string", "number"],
    ],
  ),
  ...[...CALLS, ...BINDINGS.map((name) => `${name}.useMutation(`)].map((call): [string, string] => [
    `${call}"renam")`,
    FUNCTIONS,
  ]),
  [`db.fn("rename", { id: "1", titel: "a" })`, "Did you mean to write 'title'?"],
  [`react.callFn("rename", { id: "1", titel: "a" })`, "Did you mean to write 'title'?"],
  [`db.useMutation("rename").mutate({ id: "1", titel: "a" })`, "'title'"],
  [`vue.useMutation("rename").mutate({ id: "1", titel: "a" })`, "'title'"],
  [`db.insert("Taks", {})`, ENTITIES],
  [`db.insert("Task", { titel: "a", slug: "s" })`, "Did you mean to write 'title'?"],
  [`react.useInsert(sync, "Taks")`, ENTITIES],
  [`vue.useEntityMutation("Taks")`, ENTITIES],
  [`react.useAggregate(sync, "Taks", {})`, ENTITIES],
  [`react.useSearch(sync, "Taks", { query: "a" })`, ENTITIES],
  [`react.useSearch(sync, "Task", { query: "a", filters: { colour: 1 } })`, "'colour'", "rank?:"],
  [`react.useLiveRow(sync, "Taks", "1")`, ENTITIES],
  [`pylonCollectionOptions({ engine: sync, entity: "Taks" })`, ENTITIES],
  [`pylonCollectionOptions({ engine: sync, entity: "Task", where: { colour: 1 } })`, "rank?:"],
];
const FIRST_LINE = 9;
const messages: string[] = [];

beforeAll(async () => {
  const lines = [
    'import * as react from "@pylonsync/react";',
    'import * as vue from "@pylonsync/vue";',
    'import * as svelte from "@pylonsync/svelte";',
    'import * as solid from "@pylonsync/solid";',
    'import { pylonCollectionOptions } from "@pylonsync/tanstack-db";',
    'import type { SyncEngine } from "@pylonsync/sync";',
    `import "${root}/tests/types/pylon.client.ts";`,
    "declare const sync: SyncEngine; const { db } = react; db; vue; svelte; solid;",
    ...TYPOS.map(([code]) => `void ${code};`),
  ];
  writeFileSync(join(dir, "typos.ts"), lines.join("\n"));
  writeFileSync(
    join(dir, "tsconfig.json"),
    JSON.stringify({ extends: `${root}/tsconfig.json`, include: ["typos.ts"], exclude: [] }),
  );
  const tsc = Bun.spawn(
    [join(root, "node_modules/.bin/tsc"), "--singleThreaded", "--pretty", "false", "-p", dir],
    { cwd: root, stdout: "pipe" },
  );
  const output = await new Response(tsc.stdout).text();
  for (const part of output.split(/^(?=\S*typos\.ts\()/m)) {
    const line = /typos\.ts\((\d+),/.exec(part)?.[1];
    if (line !== undefined) messages[Number(line) - FIRST_LINE] = part;
  }
}, 120_000);

describe("a typo is a compile error that names what exists", () => {
  test.each(TYPOS.map(([code, ...parts], index) => [code, parts, index] as const))(
    "%s",
    (_code, parts, index) => {
      const message = messages[index] ?? "It compiles.";
      for (const part of parts) expect(message).toContain(part);
    },
  );
});
