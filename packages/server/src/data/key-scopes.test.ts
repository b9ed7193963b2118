// Uses an API key for one entity to follow relations, which lead to rows of other entities.
import { buildManifest, entity, field, policy, relation } from "@pylonsync/sdk";
import { expect, test } from "bun:test";
import { ADMIN, type Caller } from "../identity/identity.ts";
import { openAppData, user } from "./testing/app-data.ts";

const notes = buildManifest({
  name: "notes",
  version: "1.0.0",
  entities: [
    entity("Person", { name: field.string() }, { renamedFrom: "Human" }),
    entity(
      "Note",
      { title: field.string(), authorId: field.string(), parentId: field.string().optional() },
      {
        relations: [
          relation({ name: "author", target: "Person", field: "authorId" }),
          relation({ name: "parent", target: "Note", field: "parentId" }),
        ],
      },
    ),
  ],
  policies: ["Person", "Note"].map((name) => policy({ name, entity: name, allow: "true" })),
});

test("an API key for one entity reads no rows of another entity by a relation", async () => {
  await using app = await openAppData(notes);
  await app.committer.commit({ caller: ADMIN, policies: "bypassed" }, async (writer) => {
    await writer.insert("Person", { name: "ann" }, "a");
    await writer.insert("Note", { title: "one", authorId: "a" }, "n");
  });
  const keyFor = (...apiKeyScopes: string[]): Caller => ({
    ...user("a"),
    apiKeyId: "k",
    apiKeyScopes,
  });
  const note = { id: "n", title: "one", authorId: "a", parentId: null };
  const withAuthor = [{ ...note, author: { id: "a", name: "ann" } }];
  const ask = async (caller: Caller): Promise<unknown[]> => {
    const reads = app.reads(caller);
    const include = { author: true };
    return [
      await reads.query("Note", { $include: include }).catch(codeOf),
      await reads.paginate("Note", { include }).then(({ page }) => page, codeOf),
      await reads.count("Note", { author: { name: "ann" } }).catch(codeOf),
      await reads.query("Note", { parent: { author: { name: "ann" } } }).catch(codeOf),
      await reads.query("Note", { $include: { parent: true } }).catch(codeOf),
      await reads.aggregate("Note", { count: true, groupBy: ["author.name"] }).catch(codeOf),
    ];
  };
  const own = [{ ...note, parent: null }];
  const refused = "INSUFFICIENT_SCOPE";
  expect(await ask(keyFor("entities:Note:read"))).toEqual([
    refused,
    refused,
    refused,
    refused,
    own,
    refused,
  ]);
  const groups = [{ "author.name": "ann", count: 1 }];
  const all = [withAuthor, withAuthor, 1, [], own, groups];
  expect(await ask(keyFor("entities:Note:read", "entities:Person:read"))).toEqual(all);
  expect(await ask(keyFor("entities:Note:read", "entities:Human:read"))).toEqual(all);
  for (const caller of [keyFor("read"), keyFor(), user("a")])
    expect(await ask(caller)).toEqual(all);
});

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : error;
}
