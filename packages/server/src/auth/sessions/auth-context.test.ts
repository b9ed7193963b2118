import { expect, test } from "bun:test";
import { ADMIN, ANONYMOUS } from "../../identity/identity.ts";
import { toAuthContext } from "./auth-context.ts";

test("false and absent values are omitted", () => {
  expect(toAuthContext(ANONYMOUS)).toEqual({ user_id: null, is_admin: false, roles: [] });
  expect(toAuthContext(ADMIN)).toMatchObject({ is_admin: true });
  const key = { ...ANONYMOUS, userId: "ann", apiKeyId: "k", apiKeyScopes: ["read"] };
  expect(toAuthContext({ ...key, isGuest: true, tenantId: "acme", isTrustedDevice: true })).toEqual(
    {
      user_id: "ann",
      is_admin: false,
      roles: [],
      is_guest: true,
      tenant_id: "acme",
      api_key_id: "k",
      api_key_scopes: ["read"],
      is_trusted_device: true,
    },
  );
});
