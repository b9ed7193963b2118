// Around the packing of this package: `write` copies what `pylon init` and `pylon deploy` write
// from, which lies elsewhere in the repository, into templates/; `remove` takes it away again.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { deployFiles, todoFiles } from "../src/template-files.ts";

const root = join(import.meta.dir, "..", "..", "..");
const templates = join(import.meta.dir, "..", "templates");

rmSync(templates, { recursive: true, force: true });
if (process.argv[2] === "write") {
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
}
