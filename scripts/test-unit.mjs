// npm run test:unit: runs the unit tests, which need neither servers nor a browser. `npm run
// test:unit -- PATTERN` runs only the test files whose path contains PATTERN.
import { installPackages, bun, root, run } from "./install.mjs";
import { unitTestFiles } from "./test-files.mjs";

installPackages();
const files = unitTestFiles(root, process.argv.slice(2));
if (files.length === 0) {
  console.error("No unit test has such a path.");
  process.exit(1);
}
run(bun, ["test", ...files.map((file) => `./${file}`)]);
