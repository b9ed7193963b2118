import { expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { ANONYMOUS, type Caller } from "../identity/identity.ts";
import type { DataModel } from "../data/model.ts";
import { modelOf as compile } from "./history.arbitraries.ts";
import { isSameEpoch, replicaEpoch } from "./replica-epoch.ts";

const HOUR_MS = 3_600_000;
const ann: Caller = { ...ANONYMOUS, userId: "ann", roles: ["editor"] };

function modelOf(allow: string, fields: Parameters<typeof entity>[1] = {}): DataModel {
  return compile(
    buildManifest({
      name: "epoch",
      version: "1.0.0",
      entities: [entity("Note", { ownerId: field.string(), at: field.datetime(), ...fields })],
      policies: [policy({ name: "own", entity: "Note", allow })],
    }),
  );
}
const OWN = "auth.userId == data.ownerId";

test("an epoch is the same while the log, fields, policies and caller are", () => {
  const epoch = replicaEpoch("log", modelOf(OWN), ann, 0);
  const others = [
    replicaEpoch("other", modelOf(OWN), ann, 0),
    replicaEpoch("log", modelOf(`${OWN} || data.ownerId == 'all'`), ann, 0),
    replicaEpoch("log", modelOf(OWN, { title: field.string() }), ann, 0),
    replicaEpoch("log", modelOf(OWN), { ...ann, roles: [] }, 0),
    replicaEpoch("log", modelOf(OWN), { ...ann, tenantId: "t" }, 0),
    replicaEpoch("log", modelOf(OWN), { ...ann, isTrustedDevice: true }, 0),
  ];
  expect(new Set([epoch, ...others]).size).toBe(others.length + 1);
  expect(replicaEpoch("log", modelOf(OWN), { ...ann }, 100 * HOUR_MS)).toBe(epoch);
});

test("where a policy looks at the clock, a replica is continued for an hour at most", () => {
  const clock = modelOf(`${OWN} && data.at <= now()`);
  const epoch = replicaEpoch("log", clock, ann, 0);
  expect(isSameEpoch(epoch, "log", clock, ann, HOUR_MS - 1)).toBe(true);
  expect(isSameEpoch(epoch, "log", clock, ann, HOUR_MS)).toBe(false);
});

test("clients that know the log alone, or nothing, go on as before", () => {
  const model = modelOf(OWN);
  expect(isSameEpoch(null, "log", model, ann, 0)).toBe(true);
  expect(isSameEpoch("log", "log", model, ann, 0)).toBe(true);
  expect(isSameEpoch("other", "log", model, ann, 0)).toBe(false);
});
