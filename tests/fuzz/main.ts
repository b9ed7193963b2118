// npm run fuzz -- [--seconds N] [--seed N] [--group NAME]: broken requests to a server on loopback.
import { parseArgs } from "node:util";
import { fuzz } from "./fuzzer.ts";
import { GROUP_NAMES } from "./groups.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: String(Date.now() % 1_000_000_000) },
    group: { type: "string", multiple: true, default: [...GROUP_NAMES] },
  },
});
const [seconds, seed] = [Number(values.seconds), Number(values.seed)];
const groups = GROUP_NAMES.filter((name) => values.group.includes(name));
if (!(seconds > 0) || !Number.isSafeInteger(seed) || groups.length !== values.group.length) {
  console.error(
    "Use --seconds with a number above 0, --seed with a whole number, and --group with one " +
      `of ${GROUP_NAMES.join(", ")}.`,
  );
  process.exit(64);
}
console.log(`seed ${seed}`);
let hasFault = false;
for (const group of groups) {
  const { requests, statuses, faults } = await fuzz(group, seconds, seed);
  console.log(JSON.stringify({ group, requests, faults: faults.length, statuses }));
  for (const { request, problem } of faults) console.log(`FAULT ${problem}\n  ${request}`);
  hasFault ||= faults.length > 0;
}
process.exit(hasFault ? 1 : 0);
