import { expect, test } from "bun:test";
import { fuzz } from "./fuzzer.ts";
import { GROUP_NAMES } from "./groups.ts";

/** The long run is `npm run fuzz -- --seconds 60`. */
const SECONDS = 5;
/** A fixed seed: the long run uses a different one each time. */
const SEED = 1;

test.each(GROUP_NAMES)(`no request makes the server fail: %s, seed ${SEED}`, async (group) => {
  const { requests, faults } = await fuzz(group, SECONDS, SEED);
  expect(faults).toEqual([]);
  expect(requests).toBeGreaterThan(0);
});
