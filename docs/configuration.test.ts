import { expect, test } from "bun:test";
import { configurationDoc } from "../scripts/configuration-doc.ts";

test("configuration.md says what the server parses: run `bun scripts/configuration-doc.ts` after a change", async () => {
  expect(await Bun.file(new URL("./configuration.md", import.meta.url)).text()).toBe(
    configurationDoc(),
  );
});
