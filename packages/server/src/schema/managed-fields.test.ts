import { buildManifest, entity, field } from "@pylonsync/sdk";
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { StoredRow, Value } from "./row.ts";
import { normaliseEmail } from "./email-address.ts";
import { withEmailRules } from "./managed-fields.ts";
import { Schema, type Entity } from "./schema.ts";

type Proof = "bool" | "datetime" | "optional" | "none";

function userEntity(proof: Proof): Entity {
  const verified: Readonly<Record<Proof, Parameters<typeof entity>[1]>> = {
    bool: { emailVerified: field.bool().default(false) },
    datetime: { emailVerified: field.datetime() },
    optional: { emailVerified: field.datetime().optional() },
    none: {},
  };
  const manifest = buildManifest({
    name: "managed",
    version: "1.0.0",
    entities: [
      entity("User", {
        email: field.string(),
        name: field.string().optional(),
        ...verified[proof],
      }),
      entity("Contact", { email: field.string() }),
    ],
  });
  return Schema.fromManifest(manifest).entity("User");
}

const proofs = fc.constantFrom<Proof>("bool", "datetime", "optional", "none");
const emails = fc.constantFrom(" Ann@B.example", "ann@b.example", "c@MÜNCHEN.de", "odd");
/** For each type of emailVerified, the values for a verified and an unverified address. */
const VALUES: Readonly<Record<Proof, readonly [Value, Value]>> = {
  bool: [true, false],
  datetime: ["2026-01-31T12:00:00.000Z", "2026-01-31T12:00:00.000Z"],
  optional: ["2026-01-31T12:00:00.000Z", null],
  none: [null, null],
};

test("a new address is unverified, the same one keeps its state, a write may set the state", () => {
  fc.assert(
    fc.property(proofs, emails, emails, fc.boolean(), (proof, old, next, saysSo) => {
      const found = userEntity(proof);
      const hasField = proof !== "none";
      const [proved, unproved] = VALUES[proof];
      const before: StoredRow = {
        id: "ann",
        email: normaliseEmail(old),
        ...(hasField ? { emailVerified: proved } : {}),
      };
      const patch = { email: next, ...(saysSo && hasField ? { emailVerified: proved } : {}) };
      const after = { ...before, ...withEmailRules(found, before, patch) };
      expect<unknown>(after["email"]).toBe(normaliseEmail(next));
      if (!hasField) return;
      const isSame = normaliseEmail(next) === normaliseEmail(old);
      expect(after["emailVerified"]).toBe(isSame || saysSo ? proved : unproved);
    }),
  );
});

test("an insert stores the normal form; a write without an address is not changed", () => {
  fc.assert(
    fc.property(proofs, emails, (proof, email) => {
      const found = userEntity(proof);
      expect(withEmailRules(found, null, { email })).toEqual({ email: normaliseEmail(email) });
      const patch = { name: "Ann" };
      expect(withEmailRules(found, { id: "ann", email }, patch)).toBe(patch);
      expect(withEmailRules(found, null, { email: null })).toEqual({ email: null });
    }),
  );
});

test("the address of any other entity is an ordinary text", () => {
  const manifest = buildManifest({
    name: "managed",
    version: "1.0.0",
    entities: [entity("Contact", { email: field.string() })],
  });
  const contact = Schema.fromManifest(manifest).entity("Contact");
  const values = { email: " Ann@B.example" };
  expect(withEmailRules(contact, null, values)).toBe(values);
});
