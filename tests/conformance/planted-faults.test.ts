import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import { ADMIN_TOKEN, startServer, type TestServer } from "../support/server.ts";
import { FAMILIES } from "./families/index.ts";
import { runChecks } from "./run-checks.ts";

// A proxy in front of the server corrupts one thing: the kit must detect each fault.

let server: TestServer;
beforeAll(async () => {
  server = await startServer(await loadApp(join(import.meta.dir, "app"), { dev: false }));
});
afterAll(() => server.stop());

interface Answer {
  readonly status: number;
  readonly text: string;
}
type Fault = (answer: Answer, request: { readonly path: string }) => Answer;

function proxyWith(breakResponse: Fault): ReturnType<typeof Bun.serve> {
  return Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      const { pathname, search } = new URL(request.url);
      const { method, headers } = request;
      const body = await request.blob();
      const response = await fetch(server.url + pathname + search, {
        method,
        headers,
        redirect: "manual",
        ...(method === "GET" ? {} : { body }),
      });
      const answer = { status: response.status, text: await response.text() };
      const { status, text } = breakResponse(answer, { path: pathname });
      const kept = new Headers(response.headers);
      for (const name of ["Content-Encoding", "Content-Length"]) kept.delete(name);
      return new Response(status === 304 ? null : text, { status, headers: kept });
    },
  });
}

/** Removes a key from the JSON, at any depth. */
const without =
  (key: string): Fault =>
  (answer) => ({
    ...answer,
    text: answer.text.replaceAll(new RegExp(`"${key}":("[^"]*"|[^,}\\]]+),?`, "g"), ""),
  });
const withStatus =
  (from: number, to: number): Fault =>
  (answer) => ({ ...answer, status: answer.status === from ? to : answer.status });
const replacing =
  (from: string | RegExp, to: string): Fault =>
  (answer) => ({ ...answer, text: answer.text.replaceAll(from, to) });

/** The faults, each with the family and the check that detect it. */
const FAULTS: readonly (readonly [string, string, string, Fault])[] = [
  [
    "inserts are answered 200",
    "entities",
    "an insert is answered 201 with the id alone",
    (answer, { path }) => (path === "/api/entities/Task" ? { ...answer, status: 200 } : answer),
  ],
  [
    "pages by cursor end early",
    "entities",
    "pages by cursor have each row once",
    replacing(/"next_cursor":"[^"]+","has_more":true/g, '"next_cursor":null,"has_more":false'),
  ],
  [
    "errors name no field",
    "entities",
    "a field that is missing is refused by its name",
    without("field"),
  ],
  [
    "errors have no sentence",
    "http",
    "an unknown path is refused with 404, a code and a sentence",
    without("message"),
  ],
  [
    "refused writes are answered 400",
    "entities",
    "a write that a policy refuses is answered 403",
    withStatus(403, 400),
  ],
  [
    "hidden rows are answered 403",
    "entities",
    "the rows of others are neither shown nor changed",
    withStatus(404, 403),
  ],
  [
    "bools are numbers",
    "entities",
    "a row has every field, defaults and nulls among them",
    replacing('"done":false', '"done":0'),
  ],
  ["times have no zone", "entities", "a datetime is answered in UTC", replacing(".000Z", ".000")],
  [
    "lists do not say whether there is more",
    "entities",
    "a list says where it is and whether there is more",
    without("has_more"),
  ],
  [
    "edits of texts are lost",
    "documents",
    "edits that were made at the same time are merged",
    replacing('"body":"dark bread rolls"', '"body":"bread rolls"'),
  ],
  ["pages have no way on", "query", "pages in an order lead on and back", without("next_cursor")],
  [
    "a filter finds nothing",
    "query",
    "each operator of a filter finds its rows",
    replacing(/^\[\{.*\}\]$/g, "[]"),
  ],
  [
    "related rows are left out",
    "query",
    "a graph has related rows under the relation's name",
    replacing('"list":{', '"others":{'),
  ],
  [
    "counts are off by one",
    "aggregate",
    "numbers of all rows that match",
    replacing('"count":4', '"count":5'),
  ],
  [
    "buckets have one name",
    "aggregate",
    "groups by a month, under both names",
    without("due_month"),
  ],
  [
    "a broken transaction says that it is kept",
    "transact",
    "a transaction of which one is refused keeps nothing",
    replacing("false", "true"),
  ],
  ["a pull has no epoch", "pull", "a pull from a cursor is what changed since", without("epoch")],
  [
    "a pull has no schema",
    "pull",
    "a snapshot names the kinds of the fields",
    replacing('"schema"', '"shape"'),
  ],
  [
    "withdrawn rows are told as updates",
    "pull",
    "a row that can no longer be read is withdrawn",
    replacing('"delete"', '"update"'),
  ],
  [
    "a repeat counts as new",
    "push",
    "an op_id that comes again is applied once",
    replacing('"deduped":1', '"deduped":0'),
  ],
  [
    "pushes have no results",
    "push",
    "each change has a result of its own",
    replacing('"results"', '"outcome"'),
  ],
  [
    "dead tokens are not told",
    "auth",
    "me tells nobody without a token, and a dead token",
    without("token_valid"),
  ],
  [
    "wrong passwords are answered 200",
    "auth",
    "a wrong password is refused with 401",
    withStatus(401, 200),
  ],
  [
    "files are cut short",
    "files",
    "an uploaded file is downloaded, whole and in part",
    replacing("hello, file", "hello"),
  ],
  [
    "a range is answered whole",
    "files",
    "an uploaded file is downloaded, whole and in part",
    withStatus(206, 200),
  ],
  [
    "mistakes of the app are the caller's",
    "functions",
    "a mistake of the app keeps its message to itself",
    withStatus(500, 400),
  ],
  ["members of rooms have no time", "rooms", "a join answers who is there", without("joined_at")],
];

test.each(FAULTS)("the kit notices that %s", async (_fault, family, name, spoil) => {
  const proxy = proxyWith(spoil);
  const check = FAMILIES[family]?.[name];
  if (check === undefined) throw new Error(`There is no check "${name}".`);
  const target = { url: proxy.url.href, adminToken: ADMIN_TOKEN };
  const results = await runChecks(target, { [family]: { [name]: check } });
  await proxy.stop(true);
  expect(results).toMatchObject([{ outcome: "FAIL" }]);
});

test("the same checks pass if the proxy changes nothing", async () => {
  const proxy = proxyWith((answer) => answer);
  const target = { url: proxy.url.href, adminToken: ADMIN_TOKEN };
  const checks = FAULTS.flatMap(([, family, name]) => {
    const check = FAMILIES[family]?.[name];
    return check === undefined ? [] : [[name, check] as const];
  });
  const results = await runChecks(target, { all: Object.fromEntries(checks) });
  await proxy.stop(true);
  expect(results.filter(({ outcome }) => outcome !== "pass")).toEqual([]);
});
