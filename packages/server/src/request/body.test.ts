import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { TestClient } from "../../../../tests/support/client.ts";
import { appOf, startServer, type TestServer } from "../../../../tests/support/server.ts";

const MIB = 1024 * 1024;
/** The paths, and the body limit of each, in MiB. */
const PATHS: readonly (readonly [path: string, limit: number])[] = [
  ["/api/entities/Note", 10],
  ["/api/transact", 10],
  ["/api/sync/push", 10],
  ["/api/query/Note", 1],
];

let server: TestServer;
let token = "";
beforeAll(async () => {
  server = await startServer(
    appOf(
      buildManifest({
        name: "notes",
        version: "1.0.0",
        entities: [entity("Note", { text: field.string() })],
      }),
    ),
  );
  token = (await TestClient.guest(server.url)).token ?? "";
});
afterAll(() => server.stop());

/** @returns how much of the body was accepted, in MiB, and the status */
async function send(
  path: string,
  mib: number,
  headers: Readonly<Record<string, string>>,
): Promise<{ taken: number; status: number }> {
  let taken = 0;
  const body = new ReadableStream({
    pull(controller) {
      taken += 1;
      controller.enqueue(new Uint8Array(MIB).fill(0x20));
      if (taken === mib) controller.close();
    },
  });
  const { status } = await fetch(server.url + path, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, ...headers },
    body,
  });
  return { taken, status };
}

test.each(PATHS)("%s rejects a body above the limit while it is received", async (path) => {
  const { taken, status } = await send(path, 400, {});
  expect(status).toBe(413);
  expect(taken).toBeLessThan(100);
});

test.each(PATHS)(
  "%s reads a body within the limit of %d MiB without a content length",
  async (path, limit) => {
    expect((await send(path, limit, {})).status).toBe(400);
  },
);

test("a body that no route reads is not waited for", async () => {
  const { taken, status } = await send("/nowhere", 400, {});
  expect(status).toBe(404);
  expect(taken).toBeLessThan(100);
});
