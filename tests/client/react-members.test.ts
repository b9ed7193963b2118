import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  acceptInvitation,
  createOrganization,
  inviteMember,
  listInvitations,
  listMembers,
  listOrganizations,
  removeMember,
  setMemberRole,
  withdrawInvitation,
} from "@pylonsync/react";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { createSyncEngine, type SyncEngine } from "@pylonsync/sync";
import { appOf, startServer, type TestServer } from "../support/server.ts";

// The calls about the members of an organization, by two users of a server in dev mode.

let server: TestServer;
beforeAll(async () => {
  const User = entity("User", { email: field.string().unique() });
  const manifest = { name: "team", version: "1.0.0", access: "public", entities: [User] } as const;
  server = await startServer(appOf(buildManifest(manifest)), { PYLON_DEV_MODE: "1" });
});
afterAll(() => server.stop());

type Body = Readonly<Record<string, unknown>>;

async function post(path: string, body: object, token = ""): Promise<Body> {
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  const init = { method: "POST", headers, body: JSON.stringify(body) };
  return (await fetch(server.url + path, init)).json() as Promise<Body>;
}

async function signUp(email: string): Promise<{ sync: SyncEngine; id: string; token: string }> {
  const password = "correct horse battery";
  const { token, user_id: id } = await post("/api/auth/password/register", { email, password });
  const sync = createSyncEngine(server.url, { token: String(token), persist: false });
  return { sync, id: String(id), token: String(token) };
}

test("members are invited, join, change their role and leave", async () => {
  const [ann, ben] = [await signUp("ann@example.com"), await signUp("ben@example.com")];
  const { id } = await createOrganization("Acme", ann);
  const invitation = await inviteMember(id, "ben@example.com", "editor", ann);
  expect(invitation).toMatchObject({ email: "ben@example.com", role: "editor" });
  expect(Date.parse(invitation.expiresAt)).toBeGreaterThan(Date.now());
  expect(await listInvitations(id, ann)).toEqual([invitation]);
  await withdrawInvitation(id, invitation.id, ann);
  expect(await listInvitations(id, ann)).toEqual([]);

  const path = `/api/auth/orgs/${id}/invites`;
  const { dev_token: link } = await post(path, { email: "ben@example.com" }, ann.token);
  await expect(acceptInvitation(String(link), ben)).rejects.toMatchObject({
    code: "EMAIL_NOT_VERIFIED",
  });
  const { dev_code: code } = await post("/api/auth/email/send-verification", {}, ben.token);
  await post("/api/auth/email/verify", { code }, ben.token);
  expect(await acceptInvitation(String(link), ben)).toEqual({ id, name: "Acme", role: "member" });
  expect(await listOrganizations(ben)).toMatchObject([{ id }]);

  await setMemberRole(id, ben.id, "admin", ann);
  expect(await listMembers(id, ben)).toEqual([
    { userId: ann.id, role: "owner" },
    { userId: ben.id, role: "admin" },
  ]);
  await removeMember(id, ben.id, ben);
  expect(await listMembers(id, ann)).toEqual([{ userId: ann.id, role: "owner" }]);
  await expect(listMembers(id, ben)).rejects.toMatchObject({ status: 404 });
});
