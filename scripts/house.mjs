// npm run house: measures the style of the code base. `--json` prints the numbers for programs,
// `--root DIR` measures another folder. house.test.ts enforces the limits.
import { existsSync, readdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { countCode } from "./house-code.mjs";
import { root as here } from "./install.mjs";
import { filesBelow } from "./test-files.mjs";

/**
 * The limits, `max` or `min`: today's numbers where the target is not reached yet, so that nothing
 * gets worse. A change that improves one moves its limit.
 */
const LIMITS = {
  "lines over 120 columns, all code": { max: 0, target: "0" },
  "lines over 120 columns, packages": { max: 0, target: "0" },
  "lines over 100 columns, all code": { max: 0, target: "0" },
  "functions over 60 lines, packages": { max: 0, target: "0" },
  "functions over 60 lines, tests": { max: 0, target: "0" },
  "`as` per 1,000 lines, packages": { max: 1, target: "<= 4" },
  "`as unknown as`, packages": { max: 2, target: "<= 3" },
  "`any`, all code": { max: 0, target: "0" },
  "`!`, all code": { max: 0, target: "0" },
  "exports without a doc comment, cli": { max: 0, target: "<= 10%" },
  "exports without a doc comment, functions": { max: 0, target: "0" },
  "exports without a doc comment, loro": { max: 0, target: "0" },
  "exports without a doc comment, next": { max: 0, target: "0" },
  "exports without a doc comment, protocol": { max: 0, target: "<= 10%" },
  "exports without a doc comment, query": { max: 0, target: "<= 10%" },
  "exports without a doc comment, react": { max: 0, target: "0" },
  "exports without a doc comment, react-native": { max: 0, target: "0" },
  "exports without a doc comment, sdk": { max: 0, target: "0" },
  "exports without a doc comment, server": { max: 0, target: "<= 10%" },
  "exports without a doc comment, solid": { max: 0, target: "0" },
  "exports without a doc comment, studio": { max: 0, target: "<= 10%" },
  "exports without a doc comment, svelte": { max: 0, target: "0" },
  "exports without a doc comment, sync": { max: 0, target: "0" },
  "exports without a doc comment, tanstack-db": { max: 0, target: "0" },
  "exports without a doc comment, testing": { max: 0, target: "0" },
  "exports without a doc comment, vue": { max: 0, target: "0" },
  "exports without a doc comment, workflows": { max: 0, target: "0" },
  "comment lines in percent, packages": { min: 15, target: "15 to 25" },
  "lines of test to a line of source": { min: 0.8, target: ">= 0.8" },
  "packages with a README": { min: 18, target: "all" },
  "packages with a LICENSE": { min: 18, target: "all" },
  "ARCHITECTURE notes": { min: 6, target: ">= 5" },
  "direct uses of timers, clock and chance, server": { max: 0, target: "0" },
};

/** The only file that may use these directly in packages/server. */
const PLATFORM = "packages/server/src/platform.ts";

const { values } = parseArgs({
  options: { json: { type: "boolean" }, root: { type: "string", default: here } },
});
const rows = measure(resolve(values.root));
process.stdout.write(values.json ? `${JSON.stringify(rows)}\n` : table(rows));

/** @returns {{ name: string, value: number, max?: number, min?: number, target?: string }[]} */
function measure(root) {
  const files = [...filesBelow(root, "")];
  const code = files.filter(isCode);
  const counts = countCode(root, code);
  const sum = (of, count) => of.reduce((total, file) => total + counts.get(file)[count], 0);
  const sources = code.filter(
    (file) => /^packages\/[^/]+\/(src|bin)\//.test(file) && !isTest(file),
  );
  const tests = code.filter(isTest);
  const server = sources.filter((file) => file.startsWith("packages/server/") && file !== PLATFORM);
  const [comments, other] = [sum(sources, "commentLines"), sum(sources, "codeLines")];
  const packages = readdirSync(join(root, "packages"));
  const having = (file) =>
    packages.filter((name) => existsSync(join(root, "packages", name, file))).length;
  return [
    ["lines over 120 columns, all code", sum(code, "over120")],
    ["lines over 120 columns, packages", sum(sources, "over120")],
    ["lines over 100 columns, all code", sum(code, "over100")],
    ["functions over 60 lines, packages", sum(sources, "longFunctions")],
    ["functions over 60 lines, tests", sum(tests, "longFunctions")],
    ["`as` per 1,000 lines, packages", ratio(1000 * sum(sources, "as"), sum(sources, "lines"))],
    ["`as unknown as`, packages", sum(sources, "asUnknownAs")],
    ["`any`, all code", sum(code, "any")],
    ["`!`, all code", sum(code, "nonNull")],
    ...packages.map((name) => {
      const own = sources.filter((file) => file.startsWith(`packages/${name}/`));
      return [
        `exports without a doc comment, ${name}`,
        sum(own, "bareExports"),
        sum(own, "exports"),
      ];
    }),
    ["comment lines in percent, packages", ratio(100 * comments, comments + other)],
    ["lines of test to a line of source", ratio(sum(tests, "lines"), sum(sources, "lines"))],
    ["packages with a README", having("README.md"), packages.length],
    ["packages with a LICENSE", having("LICENSE"), packages.length],
    ["ARCHITECTURE notes", files.filter((file) => basename(file) === "ARCHITECTURE.md").length],
    ["direct uses of timers, clock and chance, server", sum(server, "direct")],
  ].map(([name, value, of]) => ({ name, value, of, ...LIMITS[name] }));
}

function isCode(file) {
  const isGenerated =
    file.endsWith("pylon.client.ts") || file.startsWith("packages/cli/templates/");
  return /\.(ts|tsx|mts|mjs|js)$/.test(file) && !isGenerated;
}

function isTest(file) {
  return /\.(test|suite)\.tsx?$|^tests\/|\/src\/(.+\/)?testing\//.test(file);
}

/** Rounded to two digits; 0 if the whole is 0. */
function ratio(part, whole) {
  return whole === 0 ? 0 : Math.round((100 * part) / whole) / 100;
}

function table(measured) {
  const cells = measured.map(({ name, value, of, max, min, target = "" }) => [
    name,
    of === undefined ? `${value}` : `${value} of ${of}`,
    max === undefined ? `at least ${min}` : `at most ${max}`,
    target,
  ]);
  const head = ["measure", "today", "limit", "target"];
  const widths = head.map((title, column) =>
    Math.max(title.length, ...cells.map((row) => row[column].length)),
  );
  const line = (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column])).join(" | ")} |`;
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  return `${[line(head), rule, ...cells.map(line)].join("\n")}\n`;
}
