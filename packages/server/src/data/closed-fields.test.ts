// Attempts to get around a field that a caller may not read: by its old names, and by writes whose
// outcome would reveal its value.
import { PylonError } from "@pylonsync/protocol";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { expect, test } from "bun:test";
import { ADMIN } from "../identity/identity.ts";
import { openAppData, user } from "./testing/app-data.ts";

const renamed = buildManifest({
  name: "renamed",
  version: "1.0.0",
  entities: [
    entity("Person", {
      name: field.string(),
      salary: field.int().max(100).optional().renamedFrom("pay").renamedFrom("wage"),
    }),
    entity("Ballot", { votes: field.int().max(100) }),
    entity(
      "Member",
      { name: field.string(), pin: field.string(), note: field.string().hidden() },
      { timestamps: true },
    ),
  ],
  policies: [
    policy({
      name: "people",
      entity: "Person",
      allow: "true",
      fields: { salary: { allowRead: 'auth.hasRole("hr")', allowWrite: "true" } },
    }),
    policy({
      name: "members",
      entity: "Member",
      allow: "true",
      fields: { pin: { allowRead: "auth.isAdmin" } },
    }),
    policy({ name: "ballots", entity: "Ballot", allowRead: "false", allowUpdate: "true" }),
  ],
});

test("an unreadable field is also unreadable by its old names", async () => {
  await using app = await openAppData(renamed);
  await app.committer.commit({ caller: ADMIN, policies: "bypassed" }, (writer) =>
    writer.insert("Person", { name: "ann", salary: 5 }, "p"),
  );
  const caller = user("u1");
  const reads = app.reads(caller);
  expect(await reads.query("Person", {})).toEqual([{ id: "p", name: "ann" }]);
  expect(await reads.get("Person", "p")).toEqual({ id: "p", name: "ann" });
  const guess = (by: string) =>
    app.committer.commit({ caller, policies: "enforced" }, (writer) =>
      writer.update("Person", "p", { name: "x" }, { ifUnchanged: { [by]: 5 } }),
    );
  for (const by of ["pay", "wage", "salary"]) {
    const closed = { code: "INVALID_COLUMN" };
    expect(reads.query("Person", { [by]: 5 }), by).rejects.toMatchObject(closed);
    expect(reads.paginate("Person", { order: { [by]: "asc" } })).rejects.toMatchObject(closed);
    expect(reads.aggregate("Person", { max: [by] })).rejects.toMatchObject(closed);
    expect(guess(by)).rejects.toMatchObject(closed);
  }
  const hr = app.reads({ ...caller, roles: ["hr"] });
  expect(await hr.query("Person", { pay: 5 })).toEqual([
    { id: "p", name: "ann", salary: 5, pay: 5, wage: 5 },
  ]);
});

test("no write reveals a value that its caller may not read", async () => {
  await using app = await openAppData(renamed);
  await app.committer.commit({ caller: ADMIN, policies: "bypassed" }, async (writer) => {
    await writer.insert("Person", { name: "ann", salary: 60 }, "p");
    await writer.insert("Ballot", { votes: 60 }, "b");
  });
  const caller = user("u1");
  const write = (entityName: string, id: string, patch: object, as = caller): Promise<unknown> =>
    app.committer
      .commit({ caller: as, policies: "enforced" }, async (writer) => {
        return (await writer.update(entityName, id, patch)) ? "written" : "not there";
      })
      .then(
        ({ result }) => result,
        (error: unknown) => (error instanceof PylonError ? `${error.code} ${error.field}` : error),
      );
  // A sum above the maximum would be rejected, and one within it would not.
  for (const by of [40, 41])
    for (const name of ["salary", "pay"])
      expect(await write("Person", "p", { [name]: { $increment: by } })).toBe(
        "INVALID_COLUMN salary",
      );
  for (const by of [40, 41])
    expect(await write("Ballot", "b", { votes: { $increment: by } })).toBe("not there");
  // If the old name counted only when the guess under the new name is the stored value, its invalid
  // value would reveal a correct guess.
  for (const guess of [60, 59])
    expect(await write("Person", "p", { salary: guess, pay: 101 })).toBe("written");
  const hr = { ...caller, roles: ["hr"] };
  expect(await write("Person", "p", { pay: { $increment: 42 } }, hr)).toBe("INVALID_DATA salary");
  expect(await write("Person", "p", { pay: { $increment: 41 } }, hr)).toBe("written");
  expect(await write("Person", "p", { salary: 100, pay: 7 }, hr)).toBe("written");
  expect(await app.reads(hr).get("Person", "p")).toMatchObject({ salary: 7 });
});

test("a write of an unreadable field shows by nothing whether it was its value", async () => {
  await using app = await openAppData(renamed);
  await app.committer.commit({ caller: ADMIN, policies: "bypassed" }, (writer) =>
    writer.insert("Member", { name: "ann", pin: "1234", note: "tall" }, "m"),
  );
  const caller = user("u1");
  const seenBefore = await app.reads(caller).get("Member", "m");
  const { head } = await app.store.bounds();
  app.platform.advance(1000);
  // The second write is only made if the first one has not changed the row, and the last one undoes
  // both: so each attempt would reveal whether the guess is right, and leave no trace.
  const attempt = (guess: object): Promise<unknown> =>
    app.committer
      .commit({ caller, policies: "enforced" }, async (writer) => {
        await writer.update("Member", "m", guess);
        await writer.update(
          "Member",
          "m",
          { name: "bob" },
          { ifUnchanged: { updatedAt: seenBefore?.["updatedAt"] } },
        );
        throw new Error("undone");
      })
      .catch((error: unknown) => (error instanceof PylonError ? error.code : "undone"));
  for (const guess of [{ pin: "1234" }, { pin: "1235" }, { note: "tall" }, { note: "small" }])
    expect(await attempt(guess)).toBe("ROW_CHANGED");
  // A readable field can be written again without a change.
  expect(await attempt({ name: "ann" })).toBe("undone");
  expect((await app.store.bounds()).head).toBe(head);
  expect(await app.reads(caller).get("Member", "m")).toEqual(seenBefore);
});
