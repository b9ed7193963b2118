import { expect, test } from "bun:test";
import { cliDoc } from "../scripts/cli-doc.ts";

test("cli.md says what the commands say: run `bun scripts/cli-doc.ts` after a change", async () => {
  expect(await Bun.file(new URL("./cli.md", import.meta.url)).text()).toBe(cliDoc());
}, 60_000);
