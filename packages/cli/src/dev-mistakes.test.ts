import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { callFn, PylonProcess, TempFolder } from "./testing/pylon-process.ts";

const RECOVERY_LIMIT_MS = 1_000;

/** An app in which every file contributes to its function's result. */
const FILES: Readonly<Record<string, (version: number) => string>> = {
  "app.ts": () => `import { buildManifest } from "@pylonsync/sdk";
import { note } from "./lib/note.ts";
export default buildManifest({ name: "notes", version: "1.0.0", access: "public",
  entities: [note()] });
`,
  "lib/note.ts": () => `import { entity } from "@pylonsync/sdk";
import { fields } from "./deep/fields.ts";
export const note = () => entity("Note", fields());
`,
  "lib/deep/fields.ts": () => `import { field } from "@pylonsync/sdk";
export const fields = () => ({ text: field.string() });
`,
  "functions/hello.ts": (version) => `import { query } from "@pylonsync/functions";
import { greet } from "./_greet.ts";
export default query({ handler: () => [${version}, ...greet()] });
`,
  "functions/_greet.ts": (version) => `import { word } from "../lib/words/word.ts";
export const greet = () => [${version}, ...word()];
`,
  "lib/words/word.ts": (version) => `export const word = () => [${version}];
`,
};

/** The text of a broken file, or null for a deleted file. */
const MISTAKES: Readonly<Record<string, (text: string) => string | null>> = {
  "syntax error": () => "export default (;\n",
  "throw while loading": (text) => `${text}\nthrow new Error("on purpose");\n`,
  "rejection while loading": (text) => `${text}\nawait Promise.reject(new Error("on purpose"));\n`,
  "missing export": () => "export const somethingElse = 1;\n",
  "missing export of a package": (text) =>
    `import { noSuchExport } from "@pylonsync/sdk";\n${text}\nexport const used = noSuchExport;\n`,
  "wrong type": () =>
    ["default 1", ...["note", "fields", "greet", "word"].map((name) => `const ${name} = 1`)]
      .map((rest) => `export ${rest};\n`)
      .join(""),
  "missing package": (text) => `import "no-such-package";\n${text}`,
  "missing file": (text) => `import "./no-such-file.ts";\n${text}`,
  "deleted file": () => null,
};

const HELLO = "functions/hello.ts";
/** The mistakes after which a function's file has no function. */
const ABSENT: ReadonlySet<string> = new Set(["deleted file", "missing export", "wrong type"]);

function isOfFunctions(file: string): boolean {
  return file.startsWith("functions/") || file === "lib/words/word.ts";
}

test("S1: dev recovers from every kind of mistake in every kind of file", async () => {
  using folder = new TempFolder();
  let version = 0;
  const writeAll = (): void =>
    folder.write(
      Object.fromEntries(Object.entries(FILES).map(([file, make]) => [file, make(version)])),
    );
  writeAll();
  await using dev = new PylonProcess(["dev", "--port", "0"], folder.path);
  const { port } = await dev.event();
  const served = async (): Promise<boolean> =>
    Bun.deepEquals(await callFn(port, "hello"), [version, version, version]);

  // A burst of saves may be reported in two parts, the first of them broken.
  const until = async (isReached: (code: unknown) => Promise<boolean>): Promise<void> => {
    while (!(await isReached((await dev.event())["code"])));
  };

  const times: number[] = [];
  for (const [mistake, breakIt] of Object.entries(MISTAKES)) {
    for (const [file, make] of Object.entries(FILES)) {
      const broken = breakIt(make(version));
      if (broken === null) rmSync(join(folder.path, file));
      else folder.write({ [file]: broken });
      // A wrong type in a function's helper shows when it is called; a function that is no longer
      // there is not an error.
      const isSilent = isOfFunctions(file) && mistake === "wrong type" && file !== HELLO;
      const isAbsent = file === HELLO && ABSENT.has(mistake);
      await until(async (code) => isSilent || code === (isAbsent ? "DEV_OK" : "DEV_ERROR"));

      version += 1;
      const fixedAt = performance.now();
      writeAll();
      await until(async (code) => code === "DEV_OK" && (await served()));
      times.push(performance.now() - fixedAt);
    }
  }
  const median = times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)];
  expect(median).toBeLessThan(RECOVERY_LIMIT_MS);
}, 60_000);
