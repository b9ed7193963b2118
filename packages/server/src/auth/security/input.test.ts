import { expect, test } from "bun:test";
import type { RequestContext } from "../../request/context.ts";
import { AuthInput } from "./input.ts";

/** Creates the input of a request with this JSON body. */
function inputOf(body: unknown): Promise<AuthInput> {
  const context: Pick<RequestContext, "json"> = { json: () => Promise.resolve(body) };
  return AuthInput.of(context);
}

test("a body that is not a JSON object is rejected", async () => {
  for (const body of [null, [], "text", 1])
    await expect(inputOf(body)).rejects.toMatchObject({ code: "INVALID_DATA" });
});

test("text is required, must be text, and must be short and storable", async () => {
  const input = await inputOf({ name: "Ann", empty: "", none: null, long: "x".repeat(9) });
  expect(input.text("name")).toBe("Ann");
  expect(input.optionalText("none")).toBeUndefined();
  expect(input.optionalText("toString")).toBeUndefined();
  expect(input.optionalText("empty")).toBe("");
  expect(() => input.text("code")).toThrow('"code" is missing.');
  expect(() => input.optionalText("long", 8)).toThrow("at most 8 characters");
  for (const bad of [1, {}, ["x"], "a\0b", "\ud800"]) {
    const odd = await inputOf({ name: bad });
    expect(() => odd.text("name")).toThrow('"name"');
  }
});

test("lists, flags and times are read", async () => {
  const input = await inputOf({
    scopes: ["read", "write"],
    mixed: ["read", 1],
    on: true,
    word: "true",
    iso: "2026-01-01T00:00:00Z",
    seconds: 1_767_225_600,
    never: 1e300,
  });
  expect(input.optionalTexts("scopes", 2)).toEqual(["read", "write"]);
  expect(input.optionalTexts("absent", 2)).toBeUndefined();
  expect(() => input.optionalTexts("scopes", 1)).toThrow("at most 1 entries");
  expect(() => input.optionalTexts("mixed", 2)).toThrow("a list of strings");
  expect([input.optionalFlag("on"), input.optionalFlag("absent")]).toEqual([true, false]);
  expect(() => input.optionalFlag("word")).toThrow("true or false");
  expect(input.optionalTime("iso")).toBe(1_767_225_600_000);
  expect(input.optionalTime("seconds")).toBe(1_767_225_600_000);
  expect(input.optionalTime("absent")).toBeNull();
  expect(() => input.optionalTime("never")).toThrow("must be a date");
  expect(() => input.optionalTime("word")).toThrow("must be a date");
});

test("an address is returned in the form in which it is compared", async () => {
  expect((await inputOf({ email: " Ann@Example.COM " })).email()).toBe("ann@example.com");
  const wrong = await inputOf({ email: "nonsense" });
  expect(() => wrong.email()).toThrow("not a valid email address");
  const missing = await inputOf({});
  expect(() => missing.email("new_email")).toThrow('"new_email" is missing.');
});
