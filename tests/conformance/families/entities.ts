import type { Family } from "../check.ts";
import { anything, exactly, expectShape, holding, matching, text } from "../shape.ts";

/** Single rows, lists of rows, and rows by a field. */
export const entities: Family = {
  "an insert is answered 201 with the id alone": async ({ ann }) => {
    await ann.expect(["POST", "/api/entities/Task", { title: "new" }], 201, exactly({ id: text }));
  },
  "an id that was not sent has 40 digits of hex": async ({ ann }) => {
    expectShape(await ann.insert("Task", { title: "new" }), matching(/^[0-9a-f]{40}$/));
  },
  "a row has every field, defaults and nulls among them": async ({ ann }) => {
    const id = await ann.insert("Task", { title: "whole" });
    await ann.expect(
      ["GET", `/api/entities/Task/${id}`],
      200,
      exactly({
        id,
        title: "whole",
        done: false,
        rank: 0,
        price: null,
        due: null,
        code: null,
        group: null,
        photo: null,
        listId: null,
        shared: false,
        ownerId: ann.userId,
      }),
    );
  },
  "a row may come with its own id, once": async ({ ann, unique }) => {
    const row = { id: unique("own-id"), title: "named" };
    await ann.expect(["POST", "/api/entities/Task", row], 201, { id: row.id });
    await ann.refused(["POST", "/api/entities/Task", row], 409, { code: "ID_TAKEN" });
  },
  "a datetime is answered in UTC": async ({ ann }) => {
    const id = await ann.insert("Task", { title: "due", due: "2026-01-05T02:00:00+02:00" });
    await ann.expect(["GET", `/api/entities/Task/${id}`], 200, {
      due: "2026-01-05T00:00:00.000Z",
    });
  },
  "a patch changes the fields that it names": async ({ ann }) => {
    const id = await ann.insert("Task", { title: "before", rank: 1 });
    await ann.expect(
      ["PATCH", `/api/entities/Task/${id}`, { rank: 2, price: 1.5 }],
      200,
      exactly({ updated: true }),
    );
    await ann.expect(["GET", `/api/entities/Task/${id}`], 200, {
      title: "before",
      rank: 2,
      price: 1.5,
    });
  },
  "a deleted row is gone, and can't be deleted again": async ({ ann }) => {
    const path = `/api/entities/Task/${await ann.insert("Task", { title: "short-lived" })}`;
    await ann.expect(["DELETE", path], 200, exactly({ deleted: true }));
    await ann.refused(["GET", path], 404, { code: "NOT_FOUND" });
    await ann.refused(["DELETE", path], 404, { code: "NOT_FOUND" });
  },
  "a list says where it is and whether there is more": async ({ guest }) => {
    const owner = await guest();
    for (const title of ["a", "b", "c"]) await owner.insert("Task", { title, shared: false });
    const where = { count: 2, limit: 2 };
    await owner.expect(["GET", "/api/entities/Task?limit=2"], 200, {
      ...where,
      offset: 0,
      has_more: true,
      data: holding({ id: text }),
    });
    await owner.expect(["GET", "/api/entities/Task?limit=2&offset=1"], 200, {
      ...where,
      offset: 1,
    });
  },
  "pages by cursor have each row once": async ({ guest }) => {
    const owner = await guest();
    const ids = [];
    for (const title of ["a", "b", "c"]) ids.push(await owner.insert("Task", { title }));
    // Shared rows of an earlier run may be among them.
    const seen: string[] = [];
    for (let after: unknown; after !== null;) {
      const from = after === undefined ? "" : `&after=${encodeURIComponent(String(after))}`;
      const path = `/api/entities/Task/cursor?limit=2${from}`;
      const page = await owner.expect(["GET", path], 200, { has_more: anything, data: anything });
      after = page["next_cursor"] ?? null;
      expectShape({ has_more: page["has_more"] }, { has_more: after !== null });
      seen.push(...[page["data"]].flat().map(idOf));
    }
    expectShape(
      ids.map((id) => seen.filter((one) => one === id).length),
      ids.map(() => 1),
    );
  },
  "a row is looked up by the value of a field": async ({ ann, unique }) => {
    const code = unique("code");
    const id = await ann.insert("Task", { title: "found", code });
    await ann.expect(["GET", `/api/lookup/Task/code/${code}`], 200, { id, code });
    await ann.refused(["GET", `/api/lookup/Task/code/${code}-not`], 404, { code: "NOT_FOUND" });
  },
  "a field that is missing is refused by its name": async ({ ann }) => {
    await ann.refused(["POST", "/api/entities/Task", {}], 400, {
      code: "MISSING_FIELD",
      field: "title",
    });
  },
  "a field that is not declared is refused by its name": async ({ ann }) => {
    await ann.refused(["POST", "/api/entities/Task", { title: "x", colour: "red" }], 400, {
      field: "colour",
    });
  },
  "a value of another kind is refused by its field": async ({ ann }) => {
    for (const [field, value] of WRONG_VALUES)
      await ann.refused(["POST", "/api/entities/Task", { title: "x", [field]: value }], 400, {
        code: "INVALID_DATA",
        field,
      });
  },
  "an entity that is not declared is refused with 404": async ({ ann }) => {
    await ann.refused(["GET", "/api/entities/Nothing"], 404, { code: "ENTITY_NOT_FOUND" });
  },
  "a unique value is taken once": async ({ ann, unique }) => {
    const code = unique("once");
    await ann.insert("Task", { title: "first", code });
    await ann.refused(["POST", "/api/entities/Task", { title: "second", code }], 409, {
      code: "UNIQUE_VIOLATION",
    });
  },
  "a write that a policy refuses is answered 403": async ({ ann }) => {
    await ann.refused(["POST", "/api/entities/Task", { title: "refused" }], 403, {
      code: "POLICY_DENIED",
    });
  },
  "the rows of others are neither shown nor changed": async ({ ann, bob }) => {
    const path = `/api/entities/Task/${await ann.insert("Task", { title: "mine" })}`;
    await bob.refused(["GET", path], 404, { code: "NOT_FOUND" });
    await bob.refused(["PATCH", path, { title: "yours" }], 404, { code: "NOT_FOUND" });
    await bob.refused(["DELETE", path], 404, { code: "NOT_FOUND" });
  },
  "a shared row is read by others, and changed by none of them": async ({ ann, nobody, bob }) => {
    const path = `/api/entities/Task/${await ann.insert("Task", { title: "ours", shared: true })}`;
    await nobody.expect(["GET", path], 200, { title: "ours" });
    await bob.refused(["PATCH", path, { title: "mine" }], 403, { code: "POLICY_DENIED" });
  },
  "the owner of a row is who writes it, whatever the body says": async ({ ann, bob }) => {
    const row = { title: "stamped", ownerId: bob.userId };
    const { status } = await ann.request("POST", "/api/entities/Task", row);
    if (status !== 201) return expectShape(status, 403);
    await bob.expect(["POST", "/api/query/Task", { title: "stamped" }], 200, []);
  },
  "an Idempotency-Key applies a write once": async ({ ann, unique }) => {
    const headers = { "Idempotency-Key": unique("key") };
    const row = { title: "once", group: unique("once") };
    const { id } = await ann.expect(["POST", "/api/entities/Task", row, headers], 201);
    await ann.expect(["POST", "/api/entities/Task", row, headers], 201, { id: String(id) });
    await ann.expect(["POST", "/api/query/Task", { group: row.group }], 200, [{ id: String(id) }]);
    await ann.refused(["POST", "/api/entities/Task", { ...row, rank: 1 }, headers], 409, {
      code: "IDEMPOTENCY_KEY_REUSED",
    });
  },
};

const WRONG_VALUES: readonly (readonly [string, string | number])[] = [
  ["rank", 2.5],
  ["rank", "one"],
  ["done", "yes"],
  ["due", "not a date"],
  ["price", "cheap"],
  ["title", 1],
];

function idOf(row: unknown): string {
  expectShape(row, { id: text });
  return String(Object(row)["id"]);
}
