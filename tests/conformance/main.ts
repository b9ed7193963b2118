// npm run conformance -- --url URL [--admin-token T] [--family NAME]: see docs/conformance.md.
import { parseArgs } from "node:util";
import { FAMILIES } from "./families/index.ts";
import { runChecks } from "./run-checks.ts";
import { linesOf, summaryOf } from "./table.ts";

const USAGE = 64;
const names = Object.keys(FAMILIES);

const { values } = parseArgs({
  options: {
    url: { type: "string" },
    "admin-token": { type: "string" },
    family: { type: "string", multiple: true, default: names },
  },
});
if (values.url === undefined || !/^https?:\/\/./.test(values.url))
  stop(USAGE, "Name the server: npm run conformance -- --url http://127.0.0.1:4321");
const unknown = values.family.filter((name) => !names.includes(name));
if (unknown.length > 0)
  stop(USAGE, `There is no family ${unknown.join(", ")}. Use ${names.join(", ")}.`);

const results = await runChecks(
  {
    url: values.url,
    adminToken: values["admin-token"] ?? process.env["PYLON_ADMIN_TOKEN"] ?? null,
  },
  Object.fromEntries(Object.entries(FAMILIES).filter(([name]) => values.family.includes(name))),
  (result) => console.log(linesOf(result).join("\n")),
).catch((error: unknown) => stop(1, `The server does not answer as Pylon does: ${String(error)}`));
console.log(summaryOf(results));
process.exit(results.some(({ outcome }) => outcome === "FAIL") ? 1 : 0);

function stop(code: number, why: string): never {
  console.error(why);
  process.exit(code);
}
