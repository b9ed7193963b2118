// npm run conformance -- --url URL: tests the wire protocol against any server; see
// docs/conformance.md.
import { bun, installPackages, run } from "./install.mjs";

installPackages();
run(bun, ["tests/conformance/main.ts", ...process.argv.slice(2)]);
