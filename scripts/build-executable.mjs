// npm run build:executable [-- OUTFILE]: the pylon command as one file that needs nothing else.
// Default: dist/pylon.
import { join } from "node:path";
import { installPackages, root, run } from "./install.mjs";

installPackages();
const [outfile = join(root, "dist", "pylon")] = process.argv.slice(2);
run(
  process.execPath,
  [join(root, "packages", "cli", "bin", "pylon.mjs"), "compile", "--out", outfile],
  { cwd: process.cwd() },
);
