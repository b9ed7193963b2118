import { expect, test } from "bun:test";
import { fuzz } from "./fuzzer.ts";
import { GROUP_NAMES } from "./groups.ts";

/** The long run is `npm run fuzz -- --seconds 60`. */
const SECONDS = 3;
/** Another one each day finds more; the failure names it. */
const SEED = Math.floor(Date.now() / 86_400_000);

test.each(GROUP_NAMES)(`no request makes the server fail: %s, seed ${SEED}`, async (group) => {
  const { requests, faults } = await fuzz(group, SECONDS, SEED);
  expect(faults).toEqual([]);
  expect(requests).toBeGreaterThan(0);
});
