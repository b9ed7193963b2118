// npm start: installs missing packages and runs the example.
import { spawn } from "node:child_process";
import { whenOrphaned } from "../packages/cli/bin/orphaned.mjs";
import { installPackages, root } from "./install.mjs";

installPackages();
const child = spawn(
  process.execPath,
  ["packages/cli/bin/pylon.mjs", "dev", "examples/todo", ...process.argv.slice(2)],
  { cwd: root, stdio: "inherit" },
);
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => child.kill(signal));
whenOrphaned(() => child.kill("SIGTERM"));
child.on("exit", (code) => process.exit(code ?? 1));
