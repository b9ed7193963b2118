import { expect, test } from "bun:test";
import { PylonError } from "@pylonsync/protocol";
import { buildManifest, definePlugin, type EntityHooks, type HookContext } from "@pylonsync/sdk";
import fc from "fast-check";
import { ANONYMOUS } from "../identity/identity.ts";
import { HookSet } from "./hooks.ts";

const none = (): never => {
  throw new Error("Nothing is asked of it here.");
};
const context: HookContext = {
  entity: "Todo",
  auth: ANONYMOUS,
  isTrusted: false,
  isCascade: false,
  now: 0,
  db: { get: none, query: none, count: none, insert: none, update: none, delete: none },
  uuid: none,
  schedule: none,
  error: none,
};
const row = { id: "1", title: "a" };

/** The results of a before-hook; `absent`: the hook does not exist. */
const answers = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ by: fc.nat(9) }) },
    { weight: 2, arbitrary: fc.constantFrom(undefined, true, "absent" as const) },
    fc.constantFrom(null, false),
  ),
  { maxLength: 5 },
);
type Answer = typeof answers extends fc.Arbitrary<(infer A)[]> ? A : never;

function hooksOf(all: readonly Answer[], seen: unknown[]): EntityHooks[] {
  return all.map((answer): EntityHooks => {
    if (answer === "absent") return {};
    const before = (data: unknown): Exclude<Answer, string> => {
      seen.push(data);
      return answer;
    };
    return {
      beforeInsert: async (data) => Promise.resolve(before(data)),
      beforeUpdate: (patch) => before(patch),
      beforeDelete: (gone) => before(gone),
    };
  });
}

/** The final data, the arguments of each hook, and whether a hook rejected the write. */
function expected(all: readonly Answer[], data: object) {
  const given: unknown[] = [];
  let current = data;
  for (const answer of all) {
    if (answer === "absent") continue;
    given.push(current);
    if (answer === null || answer === false) return { given, result: "HOOK_REFUSED" };
    if (typeof answer === "object") current = answer;
  }
  return { given, result: current };
}

async function resultOf(work: Promise<unknown>): Promise<unknown> {
  return work.catch((error: unknown) => (error instanceof PylonError ? error.code : error));
}

test("each before-hook receives the result of the previous one, until one rejects", async () => {
  await fc.assert(
    fc.asyncProperty(answers, async (all) => {
      for (const kind of ["beforeInsert", "beforeUpdate"] as const) {
        const seen: unknown[] = [];
        const set = new HookSet(hooksOf(all, seen));
        const data = { title: "b" };
        const work =
          kind === "beforeInsert"
            ? set.beforeInsert(data, context)
            : set.beforeUpdate(data, row, context);
        const { given, result } = expected(all, data);
        expect(await resultOf(work)).toEqual(result);
        expect(seen).toEqual(given);
      }
    }),
  );
});

test("a row is deleted unless a hook rejects it, whatever else hooks return", async () => {
  await fc.assert(
    fc.asyncProperty(answers, async (all) => {
      const seen: unknown[] = [];
      const refusal = all.findIndex((answer) => answer === null || answer === false);
      const result = await resultOf(new HookSet(hooksOf(all, seen)).beforeDelete(row, context));
      expect(result).toBe(refusal === -1 ? false : "HOOK_REFUSED");
      const asked = all.slice(0, refusal === -1 ? undefined : refusal + 1);
      expect(seen).toEqual(asked.filter((answer) => answer !== "absent").map(() => row));
    }),
  );
});

test("the first hook that keeps a row is the last one called, but not in a cascade", async () => {
  const asked: string[] = [];
  const keeper = (name: string): EntityHooks => ({
    beforeDelete: () => {
      asked.push(name);
      return "keep";
    },
  });
  const set = new HookSet([keeper("a"), keeper("b")]);
  expect(await set.beforeDelete(row, context)).toBe(true);
  expect(await set.beforeDelete(row, { ...context, isCascade: true })).toBe(false);
  expect(asked).toEqual(["a", "a", "b"]);
});

test("after-hooks run in the order of the app, and the first error ends them", async () => {
  const seen: string[] = [];
  const hookOf = (name: string, fails: boolean): EntityHooks => {
    const after = async (): Promise<void> => {
      await Promise.resolve();
      seen.push(name);
      if (fails) throw new Error(name);
    };
    return { afterInsert: after, afterUpdate: after, afterDelete: after };
  };
  const set = new HookSet([hookOf("a", false), {}, hookOf("b", true), hookOf("c", false)]);
  for (const work of [
    () => set.afterInsert(row, context),
    () => set.afterUpdate(row, row, context),
    () => set.afterDelete(row, context),
  ]) {
    seen.length = 0;
    expect(await work().catch((error: unknown) => (error as Error).message)).toBe("b");
    expect(seen).toEqual(["a", "b"]);
  }
});

test("the hooks are those of the app's plugins; the JSON of an app has none", () => {
  const hooks = { beforeInsert: () => true };
  const app = buildManifest({
    name: "app",
    version: "1",
    entities: [],
    plugins: [definePlugin({ name: "p", hooks })],
  });
  expect(HookSet.of(app).isEmpty).toBe(false);
  expect(HookSet.of(JSON.parse(JSON.stringify(app))).isEmpty).toBe(true);
});
