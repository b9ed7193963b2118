// Claims compared with decimals and dates: the claims are written in forms that no row contains,
// and every way of reading a row must give the same result.
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import type { ClaimValue } from "@pylonsync/query";
import { expect, test } from "bun:test";
import { openAppData, user } from "../data/testing/app-data.ts";
import { ADMIN } from "../identity/identity.ts";

/** Whether the rules hold for claims with the row's values, with smaller ones, and with none. */
const RULES: readonly (readonly [string, Readonly<Record<Meaning, boolean>>])[] = [
  ["data.price <= auth.claims.price", { same: true, less: false, none: false }],
  ["!(data.price > auth.claims.price)", { same: true, less: false, none: true }],
  ["data.price == auth.claims.price", { same: true, less: false, none: false }],
  ["data.price != auth.claims.price", { same: false, less: true, none: true }],
  ["data.price in auth.claims.prices", { same: true, less: false, none: false }],
  ["!(data.price in auth.claims.prices)", { same: false, less: true, none: true }],
  ["auth.claims.price in [data.price]", { same: true, less: false, none: false }],
  ["!(data.due > auth.claims.due)", { same: true, less: false, none: true }],
  ["data.due != auth.claims.due", { same: false, less: true, none: true }],
  ["data.due in auth.claims.dues", { same: true, less: false, none: false }],
  [
    "exists(Deal, due == auth.claims.due && price == auth.claims.price)",
    { same: true, less: false, none: false },
  ],
];

type Meaning = "same" | "less" | "none";

const CLAIMS: readonly (readonly [Meaning, Readonly<Record<string, ClaimValue>>])[] = [
  ["same", { price: 12.5, prices: ["1", "12.50"], due: "2026-01-01", dues: ["2026-01-01"] }],
  [
    "same",
    {
      price: "012.50",
      prices: ["12.5"],
      due: "2026-01-01T02:00:00+02:00",
      dues: ["2026-01-01T00:00:00Z"],
    },
  ],
  ["less", { price: 2, prices: ["2"], due: "2025-12-31", dues: ["2025-12-31"] }],
  ["none", { price: "soon", prices: ["soon"], due: "soon", dues: ["soon"] }],
  ["none", {}],
];

test.each(RULES)(
  "claims in %s are normalized like the entity's fields, in every way of reading",
  async (allowRead, holds) => {
    await using app = await openAppData(
      buildManifest({
        name: "deals",
        version: "1.0.0",
        entities: [entity("Deal", { price: field.decimal(10, 2), due: field.datetime() })],
        policies: [policy({ name: "deals", entity: "Deal", allowRead, allowWrite: "false" })],
      }),
    );
    await app.committer.commit({ caller: ADMIN, policies: "bypassed" }, (writer) =>
      writer.insert("Deal", { price: "12.50", due: "2026-01-01" }, "d"),
    );
    for (const [meaning, claims] of CLAIMS) {
      const caller = { ...user("u"), claims };
      const reads = app.reads(caller);
      const row = await app.store.get("Deal", "d");
      const predicate = app.model.rules.readPredicate("Deal");
      const expected = holds[meaning];
      expect({ claims, listed: (await reads.list("Deal")).length }).toEqual({
        claims,
        listed: expected ? 1 : 0,
      });
      expect({ claims, isRead: (await reads.get("Deal", "d")) !== null }).toEqual({
        claims,
        isRead: expected,
      });
      if (row !== null && predicate !== undefined)
        expect(predicate({ auth: caller, data: row })).toBe(expected);
    }
  },
);
