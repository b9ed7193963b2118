import { expect, test } from "bun:test";
import type { ChangeEvent } from "@pylonsync/protocol";
import fc from "fast-check";
import { PylonClientError } from "./errors.ts";
import { HttpClient } from "./http.ts";
import { systemPlatform } from "../platform/platform.ts";
import { pullSince, pullSnapshot } from "./puller.ts";

const SCHEMA = { Todo: { title: "string" } };

/** A client of a server with these responses; and the queries that it received. */
function clientOf(answerOf: (query: URLSearchParams) => unknown) {
  const asked: string[] = [];
  const platform = {
    ...systemPlatform,
    fetch: async (url: string): Promise<Response> => {
      const { searchParams } = new URL(url);
      asked.push(searchParams.toString());
      return Promise.resolve(Response.json(answerOf(searchParams)));
    },
  };
  return { asked, http: new HttpClient("http://app.test", platform, () => null) };
}

function rowsFrom(begin: number, count: number): ChangeEvent[] {
  return Array.from({ length: count }, (_, index) => ({
    seq: 9,
    entity: "Todo",
    row_id: String(begin + index),
    kind: "insert",
    data: { id: String(begin + index) },
    timestamp: "",
  }));
}

test("a snapshot is all pages in order, with the last cursor and the first schema", async () => {
  const pages = fc.array(fc.nat(3), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(pages, fc.boolean(), async (counts, tellsSchema) => {
      const { http, asked } = clientOf((query) => {
        const page = Number(query.get("page") ?? 0);
        const begin = counts.slice(0, page).reduce((sum, count) => sum + count, 0);
        const isLast = page === counts.length - 1;
        return {
          changes: rowsFrom(begin, counts[page] ?? 0),
          cursor: { last_seq: 40 + page },
          has_more: false,
          epoch: "e1",
          ...(isLast ? {} : { next_page: String(page + 1) }),
          ...(tellsSchema && page === 0 ? { schema: SCHEMA } : {}),
        };
      });
      const snapshot = await pullSnapshot(http);
      const total = counts.reduce((sum, count) => sum + count, 0);
      expect(snapshot).toEqual({
        events: rowsFrom(0, total),
        seq: 40 + counts.length - 1,
        epoch: "e1",
        schema: tellsSchema ? SCHEMA : undefined,
      });
      expect(asked.length).toBe(counts.length);
    }),
  );
});

test("changes are requested since the cursor; invalid responses are not the server's", async () => {
  const answer = { changes: [], cursor: { last_seq: 7 }, has_more: false };
  const { http, asked } = clientOf(() => answer);
  expect(await pullSince(http, 5, "e 1")).toEqual(answer);
  await pullSince(http, 5, null);
  expect(asked).toEqual(["since=5&epoch=e+1", "since=5"]);
  for (const wrong of [
    {},
    null,
    { ...answer, cursor: { last_seq: -1 } },
    { ...answer, changes: [1] },
  ]) {
    const code = await pullSince(clientOf(() => wrong).http, 1, null).catch((error: unknown) =>
      error instanceof PylonClientError ? error.code : error,
    );
    expect(code).toBe("UNEXPECTED_ANSWER");
  }
});
