// Preloaded in the runs that plant a fault: PYLON_PLANTED_FAULT is its index in FAULTS. The source
// is replaced while it is loaded; the file itself is not changed.
import { join } from "node:path";
import { FAULTS } from "./faults.ts";

const SOURCES = join(import.meta.dir, "../../packages/server/src");
const fault = FAULTS[Number(process.env["PYLON_PLANTED_FAULT"] ?? -1)];
if (fault === undefined) throw new Error("PYLON_PLANTED_FAULT is not the index of a fault.");
const { file, from, to } = fault;
Bun.plugin({
  name: "planted fault",
  setup: (build) => {
    const path = join(SOURCES, file).replaceAll(/[.\\]/g, "\\$&");
    build.onLoad({ filter: new RegExp(`^${path}$`) }, async () => ({
      contents: (await Bun.file(join(SOURCES, file)).text()).replace(from, () => to),
      loader: "ts",
    }));
  },
});
