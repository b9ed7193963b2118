import { expect, test } from "bun:test";
import { CHANNEL_DDL, channelFunctions } from "./channel-functions.ts";
import { VersionedFunctions } from "./versioned-functions.ts";

const SOURCE = `-- A comment.
CREATE OR REPLACE FUNCTION app_one() RETURNS INT LANGUAGE sql AS $$ SELECT app_two() $$;
CREATE OR REPLACE FUNCTION app_two() RETURNS INT LANGUAGE sql AS $$ SELECT 2 FROM "_app_one" $$;
`;

test("definitions and calls have the same versioned name; table names do not change", () => {
  const functions = new VersionedFunctions("app_", [SOURCE]);
  const [one, two] = [functions.nameOf("one"), functions.nameOf("two")];
  expect(one).toMatch(/^"_app_one_[0-9a-f]{8}"$/);
  expect(functions.statements).toEqual([
    SOURCE.replaceAll(/\bapp_one\b/g, one).replaceAll(/\bapp_two\b/g, two),
  ]);
  expect(functions.resolve("SELECT app_one()")).toBe(`SELECT ${one}()`);
  expect(functions.statements[0]).toContain('FROM "_app_one" ');
});

test("the version changes with the text, but not with a comment", () => {
  const nameIn = (source: string): string => new VersionedFunctions("app_", [source]).nameOf("one");
  expect(nameIn(SOURCE.replace("A comment", "Another"))).toBe(nameIn(SOURCE));
  expect(nameIn(SOURCE.replace("SELECT 2", "SELECT 3"))).not.toBe(nameIn(SOURCE));
});

test("a call of a function that is not defined is an error", () => {
  const functions = new VersionedFunctions("app_", [SOURCE]);
  expect(() => functions.nameOf("three")).toThrow('There is no function "app_three".');
  expect(() => functions.resolve("SELECT app_three()")).toThrow("app_three");
});

test("all functions of the channel have their version", () => {
  for (const name of ["name", "send", "has_expired", "delete_expired"])
    expect(CHANNEL_DDL.join()).toContain(`FUNCTION ${channelFunctions.nameOf(name)}(`);
});
