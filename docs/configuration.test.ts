import { expect, test } from "bun:test";
import { configurationDoc } from "../scripts/configuration-doc.ts";

test("configuration.md is up to date: run `bun scripts/configuration-doc.ts`", async () => {
  expect(await Bun.file(new URL("./configuration.md", import.meta.url)).text()).toBe(
    configurationDoc(),
  );
});
