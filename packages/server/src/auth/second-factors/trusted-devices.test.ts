import { MAX_TRUSTED_DEVICES } from "@pylonsync/protocol";
import { expect, test } from "bun:test";
import { ANONYMOUS_IDENTITY } from "../../identity/identity.ts";
import { RequestContext } from "../../request/context.ts";
import { scratchStore } from "../../store/testing/scratch-store.ts";
import { SessionCookie } from "../sessions/session-cookie.ts";
import { TrustedDevices } from "./trusted-devices.ts";

const DAY_MS = 24 * 60 * 60_000;
const cookie = new SessionCookie(() => ({
  name: "s",
  domain: undefined,
  sameSite: "lax",
  secure: false,
}));

function from(setCookie = ""): RequestContext {
  const headers = { cookie: setCookie.split(";")[0] ?? "", "user-agent": "Firefox" };
  const request = new Request("http://localhost/", { headers });
  return new RequestContext(request, {}, ANONYMOUS_IDENTITY, () => "", "request");
}

test("a device is trusted by its cookie, for its user, for thirty days", async () => {
  await using scratch = scratchStore();
  const { store, platform, advance } = scratch;
  const devices = new TrustedDevices(store, platform, cookie);
  const set = await devices.trust(from(), "ann");
  expect(await devices.isTrusted(from(set), "ann")).toBe(true);
  expect(await devices.isTrusted(from(set), "ben")).toBe(false);
  expect(await devices.isTrusted(from(), "ann")).toBe(false);
  expect(await devices.list("ann")).toMatchObject([
    { device: "Firefox", expires_at: "2026-01-31T00:00:00.000Z" },
  ]);
  advance(30 * DAY_MS);
  expect(await devices.isTrusted(from(set), "ann")).toBe(false);
  expect(await devices.forgetExpired()).toBe(1);
});

test("a device is forgotten only by its user, or with all others", async () => {
  await using scratch = scratchStore();
  const devices = new TrustedDevices(scratch.store, scratch.platform, cookie);
  const [one, other] = [await devices.trust(from(), "ann"), await devices.trust(from(), "ann")];
  const [first] = await devices.list("ann");
  expect(await devices.end("ben", first?.id ?? "")).toBe(false);
  expect(await devices.end("ann", first?.id ?? "")).toBe(true);
  expect(await devices.list("ann")).toHaveLength(1);
  await devices.forget("ann");
  for (const set of [one, other]) expect(await devices.isTrusted(from(set), "ann")).toBe(false);
});

test("a further device replaces the one that has been trusted for longest", async () => {
  await using scratch = scratchStore();
  const { store, platform, advance } = scratch;
  const devices = new TrustedDevices(store, platform, cookie);
  const sets: string[] = [];
  for (let count = 0; count <= MAX_TRUSTED_DEVICES; count += 1) {
    sets.push(await devices.trust(from(), "ann"));
    advance(1000);
  }
  expect(await devices.list("ann")).toHaveLength(MAX_TRUSTED_DEVICES);
  const trusted = await Promise.all(sets.map((set) => devices.isTrusted(from(set), "ann")));
  expect(trusted.indexOf(true)).toBe(1);
});
