import { expect, test } from "bun:test";
import { scratchStore } from "../../store/testing/scratch-store.ts";
import { Encryption } from "../security/encryption.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { Accounts, type NewAccount } from "./accounts.ts";

const TOKENS = { accessToken: "access", refreshToken: "refresh", expiresAt: 1_800_000_000_000 };
const ACME: NewAccount = {
  provider: "acme",
  profile: { id: "7", email: "ann@example.com", emailVerified: true },
  tokens: TOKENS,
};

test("an account belongs to one user, and its tokens are encrypted", async () => {
  await using scratch = scratchStore();
  const { store, platform } = scratch;
  const accounts = new Accounts(store, platform, new Encryption("a secret", platform));
  await store.transact((tx) => accounts.insert(tx, "ann", ACME));
  await expect(store.transact((tx) => accounts.insert(tx, "ben", ACME))).rejects.toMatchObject({
    code: "ID_TAKEN",
  });
  const found = await accounts.find("acme", "7");
  expect(found).toMatchObject({
    userId: "ann",
    email: "ann@example.com",
    expiresAt: TOKENS.expiresAt,
    createdAt: platform.now(),
  });
  expect(await accounts.find("acme", "8")).toBeNull();
  expect(await accounts.tokens(found?.id ?? "")).toEqual(TOKENS);
  expect(JSON.stringify(await SYSTEM_TABLES.accounts.select(store))).not.toContain('refresh"');
});

test("a refresh token that a provider returns only once is retained", async () => {
  await using scratch = scratchStore();
  const { store, platform } = scratch;
  const accounts = new Accounts(store, platform, new Encryption("a secret", platform));
  await store.transact((tx) => accounts.insert(tx, "ann", ACME));
  await accounts.renew({
    ...ACME,
    tokens: { accessToken: "next", refreshToken: null, expiresAt: null },
  });
  const [account] = await accounts.list("ann");
  expect(await accounts.tokens(account?.id ?? "")).toEqual({
    accessToken: "next",
    refreshToken: "refresh",
    expiresAt: null,
  });
});

test("without a key no token is stored", async () => {
  await using scratch = scratchStore();
  const { store, platform } = scratch;
  const accounts = new Accounts(store, platform, new Encryption(null, platform));
  await store.transact((tx) => accounts.insert(tx, "ann", ACME));
  const [account] = await accounts.list("ann");
  expect(await accounts.tokens(account?.id ?? "")).toBeNull();
});

test("an account stays linked if the check fails", async () => {
  await using scratch = scratchStore();
  const { store, platform, advance } = scratch;
  const accounts = new Accounts(store, platform, new Encryption(null, platform));
  await store.transact((tx) => accounts.insert(tx, "ann", ACME));
  advance(1);
  await store.transact((tx) => accounts.insert(tx, "ann", { ...ACME, provider: "gone" }));
  const [newest, oldest] = await accounts.list("ann");
  expect([newest?.provider, oldest?.provider]).toEqual(["gone", "acme"]);
  const unlinked = accounts.unlink(oldest?.id ?? "", () => Promise.reject(new Error("needed")));
  await expect(unlinked).rejects.toThrow("needed");
  expect(await accounts.list("ann")).toHaveLength(2);
  await accounts.unlink(oldest?.id ?? "", () => Promise.resolve());
  expect(await accounts.list("ann")).toMatchObject([{ provider: "gone" }]);
});
