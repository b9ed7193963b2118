import { expect, test } from "bun:test";
import { FunctionEnv, secretNamesOf, secretsOf } from "./secrets.ts";

const VARIABLES = { REGION: "here", STRIPE: "s1", EMPTY: "", GONE: undefined };

test("a declared secret is only visible to the functions that declare it", () => {
  const functions = [{ secrets: ["STRIPE", "EMPTY"] }, {}, { secrets: ["STRIPE"] }];
  let names = secretNamesOf(functions);
  const env = new FunctionEnv(VARIABLES, () => names);
  expect(env.shared).toEqual({ REGION: "here", GONE: undefined });
  expect(env.shared).toBe(env.shared);
  expect(env.secrets(["STRIPE", "EMPTY", "GONE"])).toEqual({ STRIPE: "s1" });
  expect(env.secrets()).toEqual({});
  // The app is another one.
  names = secretNamesOf([{ secrets: ["REGION"] }]);
  expect(env.shared).toEqual({ STRIPE: "s1", EMPTY: "", GONE: undefined });
});

test("the errors of an undeclared and an unset secret differ", () => {
  const secrets = secretsOf("pay", ["STRIPE", "EMPTY"], { STRIPE: "s1" });
  expect(secrets["STRIPE"]).toBe("s1");
  expect(() => secrets["EMPTY"]).toThrow('The secret EMPTY of "pay" is not set');
  expect(() => secrets["REGION"]).toThrow('"pay" does not declare the secret REGION');
  expect(["STRIPE" in secrets, "REGION" in secrets]).toEqual([true, false]);
});
