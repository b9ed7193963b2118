// `bun scripts/templates.ts FOLDER`: copies what `pylon init` and `pylon deploy` write from, which
// lies elsewhere in the repository, into FOLDER, for the published package.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { deployFiles, todoFiles } from "../src/template-files.ts";

const root = join(import.meta.dir, "..", "..", "..");
const [templates] = process.argv.slice(2);
if (templates === undefined) throw new Error("Name the folder to write to.");

const todo = {
  ...todoFiles(),
  "package.json": readFileSync(join(root, "examples", "todo", "package.json"), "utf8"),
};
for (const [folder, files] of Object.entries({ todo, deploy: deployFiles() })) {
  for (const [path, content] of Object.entries(files)) {
    const file = join(templates, folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
}
