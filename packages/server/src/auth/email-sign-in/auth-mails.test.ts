import { expect, test } from "bun:test";
import { scratchStore, type Scratch } from "../../store/testing/scratch-store.ts";
import { FinalFailure } from "../../util/final-failure.ts";
import { Encryption } from "../security/encryption.ts";
import { AuthMails } from "./auth-mails.ts";

const MINUTES = 10;
const CODE = { code: "482913", minutes: MINUTES };

/** Mails with a queue that stores what is added. @param secret null: the server has no key */
function mailsOf({ store, platform }: Scratch, secret: string | null, broken = false) {
  const queued: string[] = [];
  const errors: unknown[] = [];
  const mails = new AuthMails({
    platform,
    store,
    mailer: { canSend: true },
    queue: {
      add: (_tx, mail) =>
        broken ? Promise.reject(new Error("no database")) : Promise.resolve(queued.push(mail)),
      wake: () => undefined,
    },
    encryption: new Encryption(secret, platform),
    appName: () => "Shop",
    templates: () => ({}),
    onError: (error) => errors.push(error),
  });
  const add = (to: string | null): Promise<void> =>
    store.transact((tx) => mails.add(tx, "sign-in-code", to, CODE));
  return { mails, queued, errors, add, open: () => mails.open(queued.at(-1) ?? "") };
}

test.each([["k".repeat(32)], [null]])("a queued mail is read again, with key %p", async (key) => {
  await using scratch = scratchStore();
  const { queued, add, open } = mailsOf(scratch, key);
  await add("ann@example.com");
  expect(open()).toMatchObject({
    to: "ann@example.com",
    subject: "482913 is your code for Shop",
  });
  if (key !== null)
    for (const secret of ["482913", "ann@"]) expect(queued[0]).not.toContain(secret);
  await add(null);
  expect(open()).toBeNull();
});

test("a mail that can never be sent is given up immediately", async () => {
  await using scratch = scratchStore();
  const { mails, queued, add, open } = mailsOf(scratch, "k".repeat(32));
  await add("ann@example.com");
  expect(() => mailsOf(scratch, "o".repeat(32)).mails.open(queued[0] ?? "")).toThrow(FinalFailure);
  expect(() => mails.open("{}")).toThrow(FinalFailure);
  scratch.advance(MINUTES * 60_000);
  expect(open).toThrow(FinalFailure);
});

test("a notice that can't be queued does not cause a failure", async () => {
  await using scratch = scratchStore();
  const { mails, errors } = mailsOf(scratch, null, true);
  await mails.notify("ann@example.com", "A passkey was added to your account.");
  expect(errors).toEqual([new Error("no database")]);
});
