// npm run bench: runs every bench in bench/, or with `-- NAME` one. Prints one JSON line per bench.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { bun, installPackages, root, run } from "./install.mjs";

installPackages();
const [wanted] = process.argv.slice(2);
const benches = readdirSync(join(root, "bench"))
  .filter((file) => file.endsWith(".bench.ts"))
  .map((file) => file.replace(".bench.ts", ""));
if (wanted !== undefined && !benches.includes(wanted)) {
  console.error(`There is no bench "${wanted}". Known: ${benches.join(", ")}.`);
  process.exit(64);
}
for (const name of benches) {
  if (wanted === undefined || wanted === name) run(bun, [join("bench", `${name}.bench.ts`)]);
}
