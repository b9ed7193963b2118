// npm run build:executable [-- OUTFILE]: compiles the pylon command into one file without
// dependencies. Default: dist/pylon.
import { join } from "node:path";
import { installPackages, root, run } from "./install.mjs";

installPackages();
const [outfile = join(root, "dist", "pylon")] = process.argv.slice(2);
run(
  process.execPath,
  [join(root, "packages", "cli", "bin", "pylon.mjs"), "compile", "--out", outfile],
  { cwd: process.cwd() },
);
