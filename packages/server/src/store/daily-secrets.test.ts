import { buildManifest } from "@pylonsync/sdk";
import { expect, test } from "bun:test";
import { openAppData } from "../data/testing/app-data.ts";
import { DailySecrets } from "./daily-secrets.ts";
import { SYSTEM_TABLES } from "./system-tables.ts";

test("a text can be signed during verifications of the same day", async () => {
  const manifest = buildManifest({ name: "none", version: "1.0.0", entities: [] });
  await using app = await openAppData(manifest);
  const secrets = new DailySecrets(SYSTEM_TABLES.fileSecrets, app.store, app.platform);
  const day = DailySecrets.dayOf(app.platform.now());
  const [guess, signature, other] = await Promise.all([
    secrets.verify(day, "a", "guess"),
    secrets.sign(day, "a"),
    secrets.sign(day, "a"),
  ]);
  expect(guess).toBe(false);
  expect(other).toBe(signature);
  expect(await secrets.verify(day, "a", signature)).toBe(true);
  expect(await secrets.verify(day, "b", signature)).toBe(false);
});
