import { describe, expect, test } from "bun:test";
import {
  action,
  internalAction,
  internalMutation,
  internalQuery,
  mutation,
  query,
} from "./definition.ts";
import { v } from "./validators.ts";

const handler = (): null => null;

test("a definition has its type, and is internal if it says so", () => {
  expect(
    [query, mutation, action, internalQuery, internalMutation, internalAction].map((define) => {
      const { type, internal } = define({ handler });
      return [type, internal];
    }),
  ).toEqual([
    ["query", undefined],
    ["mutation", undefined],
    ["action", undefined],
    ["query", true],
    ["mutation", true],
    ["action", true],
  ]);
});

describe("a webhook", () => {
  /** As an app in JavaScript would write it. */
  const define: (options: object) => unknown = (options) => action(Object(options));

  test("accepts methods and bearer, and nothing else", () => {
    expect(
      action({ handler, webhook: { methods: ["GET", "POST"], bearer: true } }).webhook,
    ).toEqual({ methods: ["GET", "POST"], bearer: true });
    expect(() => define({ handler, webhook: { method: "GET" } })).toThrow(
      'webhook has no option "method": use methods, bearer.',
    );
    expect(() => define({ handler, webhook: { methods: ["get"] } })).toThrow(
      "webhook.methods must be a list of GET, POST, PUT, PATCH, DELETE.",
    );
    expect(() => define({ handler, webhook: { bearer: "yes" } })).toThrow(
      "webhook.bearer must be true or false.",
    );
  });

  test("is only for actions", () => {
    const wrong: { readonly handler: typeof handler } = Object({ handler, webhook: {} });
    expect(() => mutation(wrong)).toThrow("A mutation can't be a webhook: only an action can.");
    expect(mutation(Object({ handler, webhook: undefined }))).toMatchObject({ type: "mutation" });
  });
});

describe("a validator", () => {
  test("is data, so that tools can read it", () => {
    const shape = { id: v.id("Todo"), tags: v.optional(v.array(v.union(v.literal("a"), v.int()))) };
    expect(JSON.parse(JSON.stringify(v.object(shape)))).toEqual({
      type: "object",
      fields: {
        id: { type: "id", table: "Todo" },
        tags: {
          type: "array",
          items: { type: "union", variants: [{ type: "literal", value: "a" }, { type: "int" }] },
          optional: true,
        },
      },
    });
  });

  test("that is made optional leaves the original unchanged", () => {
    const title = v.string();
    expect(v.optional(title)).toEqual({ type: "string", optional: true });
    expect(title).toEqual({ type: "string" });
  });

  test("that does not exist is named with a suggestion", () => {
    const known: Record<string, () => unknown> = Object(v);
    expect(() => known["strin"]?.()).toThrow("There is no v.strin(). Did you mean v.string()?");
    // Promises read this property.
    expect(known["then"]).toBeUndefined();
  });
});
