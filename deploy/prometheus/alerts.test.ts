import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { findPromtool } from "./promtool.ts";

const promtool = findPromtool();
if (promtool === null)
  console.error(
    "promtool is not installed, and Debian's package is not available: the rules for " +
      "Prometheus are not tried.",
  );

test.skipIf(promtool === null)(
  "the rules fire for the cases in alerts.test.yml, and for nothing else",
  () => {
    for (const args of [
      ["check", "rules", "alerts.yml"],
      ["test", "rules", "alerts.test.yml"],
    ]) {
      const { status, stdout, stderr } = spawnSync(promtool ?? "", args, {
        cwd: import.meta.dir,
        encoding: "utf8",
      });
      expect({ args, status, said: status === 0 ? "" : stdout + stderr }).toEqual({
        args,
        status: 0,
        said: "",
      });
    }
  },
);
