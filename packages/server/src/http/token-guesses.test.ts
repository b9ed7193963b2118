import { expect, test } from "bun:test";
import { MAX_WRONG_ADMIN_TOKENS, PylonError } from "@pylonsync/protocol";
import { Log } from "../observe/log.ts";
import { TokenGuesses } from "./token-guesses.ts";

function open(): { readonly guesses: TokenGuesses; readonly lines: string[] } {
  const lines: string[] = [];
  const log = new Log({
    level: "warn",
    format: "text",
    now: () => 0,
    write: (line) => lines.push(line),
  });
  return { guesses: new TokenGuesses(log, null), lines };
}

async function isRefused(work: Promise<void>): Promise<boolean> {
  try {
    await work;
    return false;
  } catch (error) {
    expect(error).toBeInstanceOf(PylonError);
    return true;
  }
}

test("after too many wrong tokens, an address can't be the admin, and others can", async () => {
  const { guesses, lines } = open();
  for (let n = 0; n < MAX_WRONG_ADMIN_TOKENS; n += 1) {
    expect(await isRefused(guesses.check("192.0.2.1"))).toBe(false);
    await guesses.wrong("guess", false, "192.0.2.1");
  }
  expect(await isRefused(guesses.check("192.0.2.1"))).toBe(true);
  expect(await isRefused(guesses.check("192.0.2.2"))).toBe(false);
  expect(await isRefused(guesses.wrong("guess", false, "192.0.2.1"))).toBe(true);
  // The first wrong token, and that the limit is reached; never the token.
  expect(lines).toHaveLength(2);
  expect(lines.join()).not.toContain("guess");
});

test("an old token of this server is not a guess, except on routes of the admin", async () => {
  const { guesses } = open();
  const old = `pyl_${"a".repeat(43)}`;
  for (let n = 0; n < MAX_WRONG_ADMIN_TOKENS + 1; n += 1)
    await guesses.wrong(old, false, "192.0.2.1");
  expect(await isRefused(guesses.check("192.0.2.1"))).toBe(false);
  for (let n = 0; n < MAX_WRONG_ADMIN_TOKENS; n += 1) await guesses.wrong(old, true, "192.0.2.1");
  expect(await isRefused(guesses.check("192.0.2.1"))).toBe(true);
});
