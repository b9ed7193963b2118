import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const isMember = "exists(Member, channelId == data.channelId && userId == auth.userId)";
const app = appOf(
  buildManifest({
    name: "chat",
    version: "1.0.0",
    entities: [
      entity("Channel", { name: field.string() }),
      entity("Member", { channelId: field.id("Channel"), userId: field.string() }),
      entity("Message", {
        channelId: field.id("Channel"),
        text: field.string(),
        authorId: field.string().owner(),
      }),
    ],
    policies: [
      policy({ name: "channels", entity: "Channel", allow: "true" }),
      policy({ name: "members", entity: "Member", allow: "true" }),
      // The example of docs/policies.md.
      policy({
        name: "messages",
        entity: "Message",
        allowRead: isMember,
        allowInsert: isMember,
        allowUpdate: "auth.userId == data.authorId && data.channelId == old.channelId",
        allowDelete: "false",
      }),
    ],
  }),
);

let server: TestServer;
beforeAll(async () => {
  server = await startServer(app);
});
afterAll(() => server.stop());

test("P2: an author can't move a message into a channel without being a member of it", async () => {
  const author = await TestClient.guest(server.url);
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  for (const id of ["open", "private"]) await admin.insert("Channel", { id, name: id });
  await admin.insert("Member", { channelId: "open", userId: author.userId });
  const id = await author.insert("Message", { channelId: "open", text: "hi" });
  const patch = (body: object): ReturnType<TestClient["request"]> =>
    author.request("PATCH", `/api/entities/Message/${id}`, body);
  expect(await patch({ channelId: "private" })).toMatchObject({
    status: 403,
    body: { error: { code: "POLICY_DENIED" } },
  });
  expect((await patch({ text: "hello" })).status).toBe(200);
});
