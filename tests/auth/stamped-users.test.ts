import { expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { timestamps } from "@pylonsync/sdk/plugins";
import { TestClient } from "../support/client.ts";
import { appOf, startServer } from "../support/server.ts";

const PASSWORD = "correct horse battery";
const base = { name: "stamped", version: "1.0.0" };
const policies = [policy({ name: "own", entity: "User", allow: "auth.userId == data.id" })];
const fields = { email: field.email().unique(), displayName: field.string() };

test.each([
  [
    "of the app",
    buildManifest({ ...base, policies, timestamps: true, entities: [entity("User", fields)] }),
  ],
  [
    "of a plugin",
    buildManifest({
      ...base,
      policies,
      plugins: [timestamps()],
      entities: [entity("User", fields)],
    }),
  ],
  [
    "and a name that is computed",
    buildManifest({
      ...base,
      policies,
      entities: [
        entity(
          "User",
          { ...fields, name: field.string().computed((row) => `<${String(row["email"])}>`) },
          { timestamps: true },
        ),
      ],
    }),
  ],
])("users with timestamps %s can sign up, by each method", async (_what, manifest) => {
  const server = await startServer(appOf(manifest), { PYLON_DEV_MODE: "1" });
  try {
    const nobody = new TestClient(server.url, "", "");
    const post = (path: string, body: object) => nobody.request("POST", `/api/auth/${path}`, body);
    const password = await post("password/register", {
      email: "a@example.com",
      password: PASSWORD,
    });
    const sent = await post("magic/send", { email: "b@example.com" });
    const code = await post("magic/verify", {
      email: "b@example.com",
      code: sent.body["dev_code"],
    });
    for (const { body } of [password, code]) {
      const token = String(body["token"]);
      const user = await new TestClient(server.url, token, "").request("GET", "/api/auth/session");
      expect(user.body["user"]).toMatchObject({
        id: body["user_id"],
        createdAt: expect.stringMatching(/^20.*Z$/),
        updatedAt: expect.stringMatching(/^20.*Z$/),
      });
    }
  } finally {
    await server.stop();
  }
});
