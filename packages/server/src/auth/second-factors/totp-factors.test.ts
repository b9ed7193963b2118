import { expect, test } from "bun:test";
import { TOTP } from "otpauth";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { scratchStore, type Scratch } from "../../store/testing/scratch-store.ts";
import { Encryption } from "../security/encryption.ts";
import { TotpFactors } from "./totp-factors.ts";

const PERIOD_MS = 30_000;

function open({ store, platform }: Scratch): TotpFactors {
  return new TotpFactors(store, platform, new Encryption("a secret", platform));
}

/** The code that the authenticator app shows for this secret at this time. */
function codeAt(secret: string, timestamp: number): string {
  return new TOTP({ secret }).generate({ timestamp });
}

test("a secret takes effect once one of its codes was entered", async () => {
  await using scratch = scratchStore();
  const totp = open(scratch);
  const { secret, url } = await totp.enroll("ann", "ann@example.com", "Shop");
  expect(new URL(url).searchParams.get("issuer")).toBe("Shop");
  expect(await totp.isOn("ann")).toBe(false);
  expect(await totp.useCode("ann", "000000")).toBe(false);
  expect(await totp.useCode("ann", codeAt(secret, scratch.platform.now()))).toBe(true);
  expect(await totp.isOn("ann")).toBe(true);
  await expect(totp.enroll("ann", "ann", "Shop")).rejects.toMatchObject({ code: "CONFLICT" });
  const [row] = await SYSTEM_TABLES.totp.select(scratch.store);
  expect(JSON.stringify(row)).not.toContain(secret);
});

test("each code is used once, even concurrently, and none before the last one", async () => {
  await using scratch = scratchStore();
  const totp = open(scratch);
  const { secret } = await totp.enroll("ann", "ann", "Shop");
  const now = scratch.platform.now();
  const uses = await Promise.all(
    Array.from({ length: 4 }, () => totp.useCode("ann", codeAt(secret, now))),
  );
  expect(uses.filter(Boolean)).toHaveLength(1);
  expect(await totp.useCode("ann", codeAt(secret, now - PERIOD_MS))).toBe(false);
  expect(await totp.useCode("ann", codeAt(secret, now + PERIOD_MS))).toBe(true);
  scratch.advance(5 * PERIOD_MS);
  const later = scratch.platform.now();
  expect(await totp.useCode("ann", codeAt(secret, later - 2 * PERIOD_MS))).toBe(false);
  expect(await totp.useCode("ann", codeAt(secret, later - PERIOD_MS))).toBe(true);
});

test("backup codes work once each, as people type them, until they are renewed", async () => {
  await using scratch = scratchStore();
  const totp = open(scratch);
  const [first = "", second = ""] = await totp.renewBackupCodes("ann");
  expect(first).toMatch(/^[2-9a-km-np-z]{5}-[2-9a-km-np-z]{5}$/);
  expect(await totp.useBackupCode("ben", first)).toBe(false);
  expect(await totp.useBackupCode("ann", ` ${first.toUpperCase().replace("-", " ")}`)).toBe(true);
  expect(await totp.useBackupCode("ann", first)).toBe(false);
  const renewed = await totp.renewBackupCodes("ann");
  expect(new Set(renewed).size).toBe(10);
  expect(await totp.useBackupCode("ann", second)).toBe(false);
  await totp.forget("ann");
  expect(await totp.useBackupCode("ann", renewed[0] ?? "")).toBe(false);
});
