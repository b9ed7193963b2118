import { COUNTED_ANSWER_BYTES, MAX_KEPT_ANSWER_BYTES, PylonError } from "@pylonsync/protocol";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { ADMIN, type Caller } from "../identity/identity.ts";
import type { Committed } from "./commit.ts";
import { dropExcessAnswers } from "./kept-answers.ts";
import { openAppData, user, type AppData } from "./testing/app-data.ts";

const manifest = buildManifest({
  name: "kept-answers",
  version: "1.0.0",
  entities: [entity("Item", { n: field.int() })],
});
const [ann, ben] = [user("ann"), user("ben")];

let app: AppData;
beforeAll(async () => {
  const database = process.env["PYLON_TEST_STORE"] === "postgres" ? "postgres" : "sqlite";
  app = await openAppData(manifest, { database });
});
afterAll(() => app[Symbol.asyncDispose]());
beforeEach(async () => {
  await app.clear();
});

/** Inserts a row, and returns a text of this length. */
function call(caller: Caller, id: string, length: number): Promise<Committed<string>> {
  const op = { id, purpose: "call", request: length, field: "Idempotency-Key" } as const;
  return app.committer.commit({ caller, policies: "bypassed", op }, async (writer) => {
    await writer.insert("Item", { n: length });
    return "x".repeat(length);
  });
}

function codeOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => "ok",
    (error: unknown) => (error instanceof PylonError ? error.code : error),
  );
}

test("a response that is too large is not kept, and its request is not applied again", async () => {
  // With the quotes of JSON.
  const fits = MAX_KEPT_ANSWER_BYTES - 2;
  expect(await call(ann, "fits", fits)).toMatchObject({ replayed: false });
  expect((await call(ann, "large", fits + 1)).result).toHaveLength(fits + 1);
  expect(await call(ann, "fits", fits)).toMatchObject({ replayed: true });
  expect(await codeOf(call(ann, "large", fits + 1))).toBe("RESULT_NOT_KEPT");
  expect(await codeOf(call(ann, "large", 1))).toBe("IDEMPOTENCY_KEY_REUSED");
  expect(await app.store.count("Item")).toBe(2);
});

test("the oldest large responses of a caller make room; their requests stay applied", async () => {
  const { store, platform } = app;
  const length = 2 * COUNTED_ANSWER_BYTES;
  const room = 3 * (length + 2);
  for (const id of ["a", "b", "c", "d", "e"]) {
    await call(ann, id, length);
    await call(ADMIN, id, length);
    await call(ann, `${id} small`, 10);
    app.platform.advance(1);
  }
  await call(ben, "a", length);
  expect(await dropExcessAnswers(store, platform.now(), room)).toBe(2);
  expect(await dropExcessAnswers(store, platform.now(), room)).toBe(0);
  const codes: unknown[] = [];
  for (const id of ["a", "b", "c", "d", "e"]) codes.push(await codeOf(call(ann, id, length)));
  expect(codes).toEqual(["RESULT_NOT_KEPT", "RESULT_NOT_KEPT", "ok", "ok", "ok"]);
  for (const id of ["a", "b", "c", "d", "e"]) {
    expect((await call(ADMIN, id, length)).replayed).toBe(true);
    expect((await call(ann, `${id} small`, 10)).replayed).toBe(true);
  }
  expect((await call(ben, "a", length)).replayed).toBe(true);
  expect(await store.count("Item")).toBe(16);
});
