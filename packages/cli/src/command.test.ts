import { expect, test } from "bun:test";
import { defineCommand } from "./command.ts";
import { Output } from "./output.ts";
import { callOf, flagOf, usageOf } from "./usage.ts";

const command = defineCommand({
  name: "greet",
  args: ["[NAME]"],
  summary: "Greet someone.",
  options: {
    loud: { type: "boolean", short: "l", summary: "In capitals." },
    language: { type: "string", value: "CODE", summary: "The language." },
  },
  run: ({ options }) => Promise.resolve(options.loud ? (options.language ?? "none").length : -1),
});

test("a missing flag is false, and a missing string is undefined", async () => {
  const context = { args: [], output: new Output(false), env: {} };
  expect(await command.run({ ...context, options: {} })).toBe(-1);
  expect(await command.run({ ...context, options: { loud: true } })).toBe(4);
  expect(await command.run({ ...context, options: { loud: true, language: "de" } })).toBe(2);
  // The command does not receive flags that are not its own.
  expect(await command.run({ ...context, options: { loud: "yes", json: true } })).toBe(-1);
});

test("the usage shows the call, and each flag with its value and its letter", () => {
  expect(callOf(command)).toBe("greet [NAME]");
  expect(Object.entries(command.options).map(([name, option]) => flagOf(name, option))).toEqual([
    "--loud, -l",
    "--language CODE",
  ]);
  const usage = usageOf(command);
  for (const text of ["pylon greet [NAME] [FLAGS]", "Greet someone.", "--language CODE", "--json"])
    expect(usage).toContain(text);
});
