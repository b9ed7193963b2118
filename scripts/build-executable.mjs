// npm run build:executable [-- OUTFILE]: the pylon command as one file that needs nothing else. Default: dist/pylon.
import { join, resolve } from "node:path";
import { bun, installPackages, root, run } from "./install.mjs";

installPackages();
const [outfile = join(root, "dist", "pylon")] = process.argv.slice(2);
run(bun, [
  "build",
  "--compile",
  // So that `pylon health` loads its own few kilobytes and not the server: a fifth of the time, two thirds of the memory.
  "--splitting",
  // What `pylon dev` reads, it reads itself; a file that happens to lie around must not change the executable.
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
  "--compile-exec-argv=--no-install",
  `--outfile=${resolve(outfile)}`,
  "packages/cli/src/main.ts",
  // Started as a thread, so the bundler does not find it by itself.
  "packages/server/src/functions/watchdog-worker.ts",
]);
