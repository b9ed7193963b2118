import { buildManifest, entity, field } from "@pylonsync/sdk";
import { expect, test } from "bun:test";
import { openAppData } from "../../data/testing/app-data.ts";
import { ADMIN } from "../../identity/identity.ts";
import { AppMembers } from "./app-members.ts";

test.each([undefined, "OrgMember"])("members of an entity renamed from %s leave", async (old) => {
  const name = old === undefined ? "OrgMember" : "Membership";
  const fields = { userId: field.string(), orgId: field.string() };
  await using app = await openAppData(
    buildManifest({
      name: "members",
      version: "1.0.0",
      entities: [entity(name, fields, old === undefined ? {} : { renamedFrom: old })],
    }),
  );
  const left: string[] = [];
  const members = new AppMembers(() => app.model, {
    leave: async (_tx, userId, organizationId) => {
      left.push(`${userId} ${organizationId}`);
    },
  });
  app.committer.onDeleteCascade(members);
  const commit = app.committer.commit.bind(app.committer);
  const trusted = { caller: ADMIN, policies: "bypassed" } as const;
  const row = { userId: "ann", orgId: "o" };
  await commit(trusted, (writer) => writer.insert(name, row, "m"));
  expect(await members.has(app.store, "o", "ann")).toBe(true);
  expect(await members.has(app.store, "o", "bob")).toBe(false);
  await commit(trusted, (writer) => writer.delete(name, "m"));
  expect(left).toEqual(["ann o"]);
});
