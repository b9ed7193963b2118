import { expect, test } from "bun:test";
import { compilePredicate, FALSE, TRUE } from "@pylonsync/query";
import type { Manifest, ManifestRoom } from "@pylonsync/sdk";
import { ANONYMOUS } from "../identity/identity.ts";
import { Schema } from "../schema/schema.ts";
import { compileRooms } from "./room-rules.ts";

const field = (name: string) => ({
  name,
  type: "string" as const,
  optional: true,
  unique: false,
});
const MEMBER = "exists(Member, channelId == room.channelId && userId == auth.userId)";

function compile(
  rooms: readonly ManifestRoom[] | undefined,
  options: { dev?: boolean; access?: "public" } = {},
) {
  const manifest: Manifest = {
    manifest_version: 1,
    name: "rooms",
    version: "0.0.0",
    routes: [],
    queries: [],
    policies: [],
    actions: [],
    entities: [
      { name: "Member", fields: [field("userId"), field("channelId")], indexes: [] },
      { name: "Team", fields: [field("userId")], indexes: [] },
    ],
    ...(rooms === undefined ? {} : { rooms }),
    ...(options.access === undefined ? {} : { access: options.access }),
  };
  return compileRooms(manifest, Schema.fromManifest(manifest).shapes, {
    dev: options.dev ?? false,
  });
}

const caller = { auth: { ...ANONYMOUS, userId: "u1" }, now: "2026-01-01T00:00:00.000Z" };

test("without declared rooms anyone who knows a name may join and send", () => {
  const { rules, diagnostics } = compile(undefined);
  expect(rules.rule("any", "join").expr).toEqual(TRUE);
  expect(rules.rule("any", "send").expr).toEqual(TRUE);
  expect(rules.rule("any", "see").expr).toEqual(FALSE);
  expect(diagnostics).toEqual([]);
});

test("with declared rooms every other name is closed, except in dev mode or a public app", () => {
  const rooms = [{ name: "lobby", allow: "true" }];
  expect(compile(rooms).rules.rule("hall", "join").expr).toEqual(FALSE);
  expect(compile(rooms, { dev: true }).rules.rule("hall", "join").expr).toEqual(TRUE);
  expect(compile(rooms, { access: "public" }).rules.rule("hall", "join").expr).toEqual(TRUE);
  expect(compile([], {}).rules.rule("lobby", "join").expr).toEqual(FALSE);
});

test("a part is any non-empty text between two slashes", () => {
  const { rules } = compile([
    { name: "team/:team/desk", allow: "room.team == auth.userId" },
    { name: "team/:team/:place", allowJoin: "true" },
  ]);
  expect(rules.rule("team/a b%2F/desk", "join").room).toEqual({ team: "a b%2F" });
  expect(rules.rule("team/x/hall", "join")).toEqual({
    expr: TRUE,
    room: { team: "x", place: "hall" },
  });
  for (const other of [
    "team//desk",
    "team/x",
    "team/x/",
    "/team/x/desk",
    "team/x/desk/",
    "Team/x/y",
  ])
    expect([other, rules.rule(other, "join").expr]).toEqual([other, FALSE]);
});

test("the most specific text defines an access, and an access without a text is closed", () => {
  const { rules, diagnostics } = compile([
    { name: "a", allow: "room == null".replace("room", "auth.tenantId"), allowSend: "false" },
    { name: "b", allowSend: "true" },
  ]);
  const may = (name: string, access: "join" | "send" | "see"): boolean => {
    const { expr, room } = rules.rule(name, access);
    return compilePredicate(expr)({ ...caller, room });
  };
  expect([may("a", "join"), may("a", "send"), may("a", "see")]).toEqual([true, false, true]);
  expect([may("b", "join"), may("b", "send"), may("b", "see")]).toEqual([false, true, false]);
  expect(diagnostics.map(({ severity, path }) => [severity, path])).toEqual([
    ["warning", "rooms[1]"],
  ]);
});

test.each([
  ["room.chanelId == auth.userId", "POLICY_INVALID", 'Did you mean "channelId"?'],
  ["data.id == auth.userId", "POLICY_INVALID", "Use room."],
  ["room.channelId = 1", "POLICY_SYNTAX", undefined],
])("%s is an error, with a hint where possible", (allow, code, hint) => {
  const { rules, diagnostics } = compile([{ name: "channel/:channelId", allow }]);
  expect(diagnostics.map((found) => [found.severity, found.code, found.path])).toEqual([
    ["error", code, "rooms[0].allow"],
  ]);
  if (hint !== undefined) expect(diagnostics[0]?.hint).toBe(hint);
  expect(rules.rule("channel/x", "join").expr).toEqual(FALSE);
});

test.each(["", "/a", "a//b", "a/:", "a b/:x", ":1"])("%p is not a valid room name", (name) => {
  const { diagnostics } = compile([{ name, allow: "true" }]);
  expect(diagnostics.map(({ code }) => code)).toEqual(["ROOM_NAME_INVALID"]);
});

test("two rooms with indistinguishable names are an error", () => {
  const { diagnostics } = compile([
    { name: "a/:x", allow: "true" },
    { name: "a/:y", allow: "false" },
  ]);
  expect(diagnostics.map(({ code, path }) => [code, path])).toEqual([
    ["ROOM_DUPLICATE", "rooms[1].name"],
  ]);
});

test("a changed row determines whose right to join which room may have changed", () => {
  const { rules } = compile([
    { name: "channel/:channelId", allow: MEMBER },
    {
      name: "deep/:channelId",
      allow: "exists(Member, channelId == room.channelId && exists(Team, userId == auth.userId))",
    },
  ]);
  const row = { id: "m", userId: "u1", channelId: "c1" };
  const changes = (name: string, entity: string, before: object | null, after: object | null) =>
    rules.mayChangeJoin(
      name,
      { entity, before: before === null ? null : { ...before }, after: after && { ...after } },
      caller,
    );
  expect(changes("channel/c1", "Member", row, null)).toBe(true);
  expect(changes("channel/c1", "Member", null, row)).toBe(true);
  expect(changes("channel/c1", "Member", row, { ...row, channelId: "c2" })).toBe(true);
  expect(changes("channel/c2", "Member", row, null)).toBe(false);
  expect(changes("channel/c1", "Member", { ...row, userId: "u2" }, null)).toBe(false);
  expect(changes("channel/c1", "Team", { userId: "u1" }, null)).toBe(false);
  expect(changes("deep/c1", "Team", { userId: "u1" }, null)).toBe(true);
  expect(changes("deep/c9", "Member", row, null)).toBe(true);
  expect(["Member", "Team", "Other"].map((entity) => rules.looksAt(entity))).toEqual([
    true,
    true,
    false,
  ]);
});

test("members may send if both accesses have the same condition", () => {
  const { rules } = compile([
    { name: "same", allow: "true" },
    { name: "quiet", allowJoin: "true", allowSend: "auth.isAdmin" },
  ]);
  expect(["same", "quiet", "other"].map((name) => rules.membersMaySend(name))).toEqual([
    true,
    false,
    true,
  ]);
});
