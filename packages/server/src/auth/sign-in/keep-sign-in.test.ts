import { expect, test } from "bun:test";
import { PylonError } from "@pylonsync/protocol";
import { buildManifest } from "@pylonsync/sdk";
import { openAppData } from "../../data/testing/app-data.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { Accounts } from "../oauth/accounts.ts";
import { Passkeys } from "../passkeys/passkeys.ts";
import { Credentials } from "../security/credentials.ts";
import { Encryption } from "../security/encryption.ts";
import { keepsSignIn } from "./keep-sign-in.ts";

const manifest = buildManifest({ name: "keep-sign-in", version: "1.0.0", entities: [] });
const PASSKEY = {
  id: "key",
  userId: "ann",
  name: "",
  publicKey: "",
  counter: 0,
  transports: [],
  createdAt: 0,
  usedAt: null,
};

test("of an account and a passkey that are removed at the same time, one stays", async () => {
  const database = process.env["PYLON_TEST_STORE"] === "postgres" ? "postgres" : "sqlite";
  await using app = await openAppData(manifest, { database });
  const { store, platform } = app;
  const accounts = new Accounts(store, platform, new Encryption(null, platform));
  const passkeys = new Passkeys(store, platform);
  const credentials = new Credentials();
  const forget = (): Promise<void> => Promise.resolve();
  const has = async (list: Promise<readonly object[]>): Promise<boolean> => (await list).length > 0;
  credentials.add({ forget, signsIn: (user, tx) => has(accounts.list(user, tx)) });
  credentials.add({ forget, signsIn: (user, tx) => has(passkeys.list(user, tx)) });
  const profile = { id: "7", emailVerified: false };
  const tokens = { accessToken: "", refreshToken: null, expiresAt: null };
  await store.transact(async (tx) => {
    await accounts.insert(tx, "ann", { provider: "acme", profile, tokens });
    await SYSTEM_TABLES.passkeys.insert(tx, PASSKEY);
  });
  const [account] = await accounts.list("ann");
  const user = { id: "ann", email: "ann@example.com" };
  const [check, withMail] = [false, true].map((canSend) =>
    keepsSignIn({ credentials, mails: Object.assign(Object.create(null), { canSend }) }, user),
  );
  if (check === undefined || withMail === undefined) throw new Error("There is no check.");
  const outcomes = await Promise.allSettled([
    accounts.unlink(account?.id ?? "", check),
    passkeys.end("ann", "key", check),
  ]);
  const codes = outcomes.map((one) => {
    if (one.status === "fulfilled") return "removed";
    return one.reason instanceof PylonError ? one.reason.code : "another error";
  });
  expect(codes.toSorted()).toEqual(["LAST_SIGN_IN", "removed"]);
  const left = [...(await accounts.list("ann")), ...(await passkeys.list("ann"))];
  expect(left).toHaveLength(1);
  // A code by mail is another way to sign in.
  const last = [accounts.unlink(account?.id ?? "", withMail), passkeys.end("ann", "key", withMail)];
  await Promise.all(last);
  expect([...(await accounts.list("ann")), ...(await passkeys.list("ann"))]).toEqual([]);
});
