import { expect, test } from "bun:test";
import { parsePolicy } from "@pylonsync/query";
import { callRoute } from "../data/testing/call-route.ts";
import { ANONYMOUS } from "../identity/identity.ts";
import { systemPlatform } from "../platform.ts";
import { RoomRules } from "../policy/room-rules.ts";
import { MemoryRoomStore } from "./memory/memory-room-store.ts";
import { RoomGuard } from "./room-guard.ts";
import { ROOM_TIMES } from "./room-store.ts";
import { roomRoutes } from "./routes.ts";

const caller = { ...ANONYMOUS, userId: "ann" };

test("a permission that ends while its user joins leaves no member in the room", async () => {
  const rooms = new MemoryRoomStore({
    deliver: () => undefined,
    times: ROOM_TIMES,
    platform: systemPlatform,
  });
  let isAllowed = true;
  const isMember = parsePolicy("exists(Member, userId == auth.userId)");
  const rules = new RoomRules(
    [
      {
        segments: [{ text: "hall", isPart: false }],
        rules: { join: isMember, send: isMember, see: isMember },
        membersMaySend: true,
        lookups: [],
      },
    ],
    false,
  );
  const routes = roomRoutes({
    rooms,
    guard: new RoomGuard(() => rules, systemPlatform.now),
    reader: () => ({ test: () => Promise.resolve(isAllowed) }),
    platform: systemPlatform,
  });
  const join = (): ReturnType<typeof callRoute> =>
    callRoute(routes, "POST", "/api/rooms/join", { caller, body: { room: "hall" } });
  expect(await join()).toMatchObject({ status: 200 });
  await rooms.leave("hall", "ann");

  // The row is deleted between the check and the join.
  const joined = rooms.join.bind(rooms);
  rooms.join = async (...given) => {
    isAllowed = false;
    return joined(...given);
  };
  expect(await join()).toMatchObject({
    status: 403,
    body: { error: { code: "POLICY_DENIED", field: "room" } },
  });
  expect(await rooms.members("hall", null)).toEqual([]);
});
