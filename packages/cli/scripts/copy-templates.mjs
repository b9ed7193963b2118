// Before the package is packed: copies what `pylon init` and `pylon deploy` write from, which lies elsewhere in the repository.
import { cpSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const templates = fileURLToPath(new URL("../templates", import.meta.url));
const LEFT_OUT = new Set(["node_modules", ".pylon", ".sst", "proof"]);
const FOLDERS = { "examples/todo": "todo", "deploy/sst": "deploy/sst", "deploy/docker": "deploy/docker", "deploy/compose": "deploy/compose", "deploy/fly": "deploy/fly", "deploy/systemd": "deploy/systemd" };

rmSync(templates, { recursive: true, force: true });
for (const [from, to] of Object.entries(FOLDERS)) {
  cpSync(join(root, from), join(templates, to), { recursive: true, filter: (path) => !LEFT_OUT.has(basename(path)) });
}
