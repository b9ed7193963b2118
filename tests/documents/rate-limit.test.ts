import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient } from "../support/client.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

// People who write together often share an address, and each of them sends many edits.

const MAX = 20;
const app = appOf(
  buildManifest({
    name: "office",
    version: "1.0.0",
    entities: [
      entity("User", { email: field.string().unique(), passwordHash: field.string().hidden() }),
      entity("Note", { body: field.richtext() }),
    ],
    policies: [
      policy({ name: "users", entity: "User", allow: "auth.userId == data.id" }),
      policy({ name: "notes", entity: "Note", allow: "auth.userId != null" }),
    ],
  }),
);

let server: TestServer;
beforeAll(async () => {
  server = await startServer(app, { PYLON_RATE_LIMIT_MAX: String(MAX) });
});
afterAll(() => server.stop());

/** Sends edits without content, which count like any other. @returns the statuses */
async function edit(client: TestClient, times: number): Promise<number[]> {
  const statuses: number[] = [];
  for (let count = 0; count < times; count += 1)
    statuses.push((await client.request("POST", "/api/crdt/Note/n1", {})).status);
  return statuses;
}

test("edits count by user, and those of guests by address", async () => {
  const [ann, bob] = [
    await TestClient.signUp(server.url, "ann"),
    await TestClient.signUp(server.url, "bob"),
  ];
  const accepted = Array.from({ length: MAX }, () => 400);
  expect(await edit(ann, MAX + 1)).toEqual([...accepted, 429]);
  expect(await edit(bob, MAX)).toEqual(accepted);
  expect((await ann.request("GET", "/api/auth/me")).status).toBe(200);
  const guest = await TestClient.guest(server.url);
  expect(await edit(guest, MAX)).toContain(429);
  expect(await edit(new TestClient(server.url, null), 1)).toEqual([429]);
});
