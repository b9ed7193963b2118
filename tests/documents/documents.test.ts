import { expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient } from "../support/client.ts";
import { Editor } from "../support/document-client.ts";
import { appOf, startServer } from "../support/server.ts";

const notes = buildManifest({
  name: "notes",
  version: "1.0.0",
  entities: [
    entity("Note", {
      title: field.string().crdt("text"),
      body: field.richtext().optional(),
      tag: field.string().optional(),
    }),
  ],
  policies: [policy({ name: "notes", entity: "Note", allow: "auth.userId != null" })],
});

test("what one types reaches the others and the row", async () => {
  const server = await startServer(appOf(notes));
  try {
    const ann = await TestClient.guest(server.url);
    const bob = await TestClient.guest(server.url);
    const id = await ann.insert("Note", { title: "milk", body: "two" });
    const [one, two] = [await Editor.open(ann, "Note", id), await Editor.open(bob, "Note", id)];
    expect([one.text("title"), two.text("body")]).toEqual(["milk", "two"]);
    one.field("title").insert(0, "oat ");
    two.field("title").insert(4, " and bread");
    const answers = await Promise.all([one.push(), two.push()]);
    expect(answers.map(({ body }) => body)).toEqual([{ ok: true }, { ok: true }]);
    await one.shows("title", "oat milk and bread");
    await two.shows("title", "oat milk and bread");
    const row = await ann.request("GET", `/api/entities/Note/${id}`);
    expect(row.body).toMatchObject({ title: "oat milk and bread", body: "two" });
    await bob.request("PATCH", `/api/entities/Note/${id}`, { body: "two or three" });
    await one.shows("body", "two or three");
    one.close();
    two.close();
  } finally {
    await server.stop();
  }
});
