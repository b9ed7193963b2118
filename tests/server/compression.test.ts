import { afterAll, beforeAll, expect, test } from "bun:test";
import { query, v } from "@pylonsync/functions";
import type { PullResponse } from "@pylonsync/protocol";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { TestClient } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const ROWS = 3000;

let server: TestServer;
let guest: TestClient;
beforeAll(async () => {
  const manifest = buildManifest({
    name: "compression",
    version: "1.0.0",
    access: "public",
    entities: [entity("Note", { text: field.string() })],
  });
  server = await startServer(
    appOf(manifest, {
      repeat: query({
        args: { text: v.string(), times: v.number() },
        handler: (_, { text, times }) => text.repeat(times),
      }),
    }),
  );
  guest = await TestClient.guest(server.url);
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  const rows = Array.from({ length: ROWS }, (_, index) => ({
    id: `n${index}`,
    text: `a note with some words in it, number ${index}`,
  }));
  await admin.request("POST", "/api/import", { entities: { Note: rows } });
});
afterAll(() => server.stop());

/** The response and its bytes as sent, not decompressed. */
async function asked(
  path: string,
  headers: Readonly<Record<string, string>>,
  init: RequestInit = {},
): Promise<{ readonly response: Response; readonly bytes: Uint8Array }> {
  const response = await fetch(server.url + path, {
    ...init,
    decompress: false,
    headers: { Authorization: `Bearer ${guest.token}`, ...headers },
  });
  return { response, bytes: await response.bytes() };
}

const plain = { "Accept-Encoding": "identity" };

test.each(["zstd", "br", "gzip"])(
  "a list, a page of a pull and a snapshot are sent as %s, with the same content",
  async (encoding) => {
    for (const path of [
      "/api/entities/Note?limit=100",
      "/api/entities/Note?limit=1000",
      "/api/sync/pull?since=0",
    ]) {
      const packed = await asked(path, { "Accept-Encoding": encoding });
      const full = await asked(path, plain);
      expect(packed.response.headers.get("content-encoding")).toBe(encoding);
      expect(packed.response.headers.get("vary")).toBe("Accept-Encoding");
      expect(full.response.headers.get("content-encoding")).toBeNull();
      expect(full.response.headers.get("vary")).toBe("Accept-Encoding");
      expect(packed.bytes.length).toBeLessThan(full.bytes.length / 3);
      // The timestamps of the two responses differ.
      const content = (text: string): string => text.replaceAll(/"timestamp":"[^"]*"/g, "");
      const through = await guest.request("GET", path, undefined, { "Accept-Encoding": encoding });
      expect(content(through.text)).toBe(content(new TextDecoder().decode(full.bytes)));
    }
  },
);

test("a whole snapshot has each row once", async () => {
  const { body } = await guest.request("GET", "/api/sync/pull?since=0");
  const { changes } = body as unknown as PullResponse;
  expect(new Set(changes.map(({ row_id }) => row_id)).size).toBe(ROWS);
  expect(changes.length).toBe(ROWS);
});

test("the result of a function is compressed if it is large enough", async () => {
  const call = (times: number) =>
    asked(
      "/api/fn/repeat",
      { "Accept-Encoding": "gzip", "Content-Type": "application/json" },
      { method: "POST", body: JSON.stringify({ text: "word ", times }) },
    );
  const [small, large] = [await call(100), await call(1000)];
  expect([small.response.status, small.response.headers.get("content-encoding")]).toEqual([
    200,
    null,
  ]);
  expect(large.response.headers.get("content-encoding")).toBe("gzip");
});

test("nothing is compressed with a cookie of another site, for HEAD, logs and errors", async () => {
  const cookie = { Authorization: "", Cookie: "a=b" };
  for (const [path, headers, method] of [
    ["/api/entities/Note?limit=100", { ...cookie, "Sec-Fetch-Site": "cross-site" }, "GET"],
    ["/api/entities/Note?limit=100", cookie, "GET"],
    ["/api/entities/Note?limit=100", {}, "HEAD"],
    ["/api/sync/pull?since=0", {}, "HEAD"],
    [`/api/admin/logs?limit=1000`, { Authorization: `Bearer ${ADMIN_TOKEN}` }, "GET"],
    [`/api/entities/${"N".repeat(8000)}`, {}, "GET"],
  ] as const) {
    const { response } = await asked(
      path,
      { "Accept-Encoding": "gzip, br, zstd", ...headers },
      { method },
    );
    expect([path, response.headers.get("content-encoding")]).toEqual([path, null]);
  }
});

test("a response about accounts is never compressed, whatever its size", async () => {
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  for (let index = 0; index < 30; index += 1)
    await admin.request("POST", "/api/auth/session", { user_id: guest.userId });
  const { response, bytes } = await asked("/api/auth/sessions", { "Accept-Encoding": "gzip" });
  expect(bytes.length).toBeGreaterThan(4096);
  expect(response.headers.get("content-encoding")).toBeNull();
});

test("the length of the same response varies, by its padding", async () => {
  const lengths = new Set<number>();
  for (let index = 0; index < 10; index += 1) {
    const { response } = await asked("/api/entities/Note?limit=100", { "Accept-Encoding": "gzip" });
    lengths.add(response.headers.get("x-padding")?.length ?? 0);
  }
  expect(lengths.size).toBeGreaterThan(1);
});

test("a response to HEAD has the length of the response to GET, or none", async () => {
  for (const path of ["/api/entities/Note?limit=10", "/api/sync/pull?since=0"]) {
    const lengths = [];
    for (const method of ["GET", "HEAD"]) {
      const { response, bytes } = await asked(path, plain, { method });
      expect(bytes.length > 0).toBe(method === "GET");
      lengths.push(response.headers.get("content-length"));
    }
    expect([path, lengths[1]]).toEqual([path, lengths[0]]);
  }
});
