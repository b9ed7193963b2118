// npm run fuzz: sends broken requests to every group of routes, each for `--seconds`; see
// tests/fuzz/.
import { bun, installPackages, run } from "./install.mjs";

installPackages();
run(bun, ["tests/fuzz/main.ts", ...process.argv.slice(2)]);
