import { expect, test } from "bun:test";
import { scratchStore } from "../../store/testing/scratch-store.ts";
import { OneTimeTokens } from "../security/one-time-tokens.ts";
import { LoginStates, type LoginState } from "./login-state.ts";

const STATE: LoginState = {
  provider: "acme",
  redirectUri: "https://app.example.com/api/auth/callback/acme",
  verifier: "v",
  nonce: "n",
  callback: "https://app.example.com/",
  errorCallback: "https://app.example.com/failed",
  sessionId: null,
  link: null,
};

function comingWith(setCookie?: string): Request {
  const headers = new Headers();
  if (setCookie !== undefined) headers.set("cookie", setCookie.split(";")[0] ?? "");
  return new Request("https://app.example.com/", { headers });
}

test("a sign-in is completed once, by the browser that started it, at its provider", async () => {
  await using scratch = scratchStore();
  const { store, platform } = scratch;
  const states = new LoginStates(new OneTimeTokens(store, platform), platform, true);
  const begin = (): ReturnType<typeof states.begin> => states.begin(comingWith(), STATE, false);
  const { state, cookie } = await begin();
  expect(cookie).toStartWith("__Host-pylon_oauth=");
  expect(await states.take(comingWith(cookie), state, "acme", false)).toMatchObject(STATE);
  const over = { code: "INVALID_STATE" };
  await expect(states.take(comingWith(cookie), state, "acme", false)).rejects.toMatchObject(over);
  const other = await begin();
  await expect(states.take(comingWith(cookie), other.state, "acme", false)).rejects.toMatchObject(
    over,
  );
  const elsewhere = await begin();
  await expect(
    states.take(comingWith(elsewhere.cookie), elsewhere.state, "other", false),
  ).rejects.toMatchObject(over);
  const late = await begin();
  scratch.advance(10 * 60_000);
  await expect(
    states.take(comingWith(late.cookie), late.state, "acme", false),
  ).rejects.toMatchObject(over);
});

test("tabs of a browser share its cookie; a provider's form has its own", async () => {
  await using scratch = scratchStore();
  const { store, platform } = scratch;
  const states = new LoginStates(new OneTimeTokens(store, platform), platform, false);
  const first = await states.begin(comingWith(), STATE, false);
  const second = await states.begin(comingWith(first.cookie), STATE, false);
  expect(second.cookie).toBe(first.cookie);
  await states.take(comingWith(first.cookie), second.state, "acme", false);
  await states.take(comingWith(second.cookie), first.state, "acme", false);
  const posted = await states.begin(comingWith(first.cookie), STATE, true);
  expect(posted.cookie).toContain("SameSite=None");
  await expect(
    states.take(comingWith(posted.cookie), posted.state, "acme", false),
  ).rejects.toMatchObject({ code: "INVALID_STATE" });
});
