import type { Caller } from "../caller.ts";
import type { Family } from "../check.ts";
import { during } from "../during.ts";
import { expectShape, holding, text, time } from "../shape.ts";
import { heardBy } from "./socket.ts";

/** Members of rooms and their messages. */
export const rooms: Family = {
  "a join answers who is there": async ({ ann, bob, unique }) => {
    const room = unique("room");
    await ann.expect(["POST", "/api/rooms/join", { room, data: { name: "Ann" } }], 200, {
      joined: room,
      snapshot: { type: "snapshot", room },
    });
    await bob.expect(["POST", "/api/rooms/join", { room }], 200, {
      snapshot: {
        peers: holding({ user_id: ann.userId, data: { name: "Ann" }, joined_at: time }),
      },
    });
    await bob.expect(["GET", `/api/rooms/${room}`], 200, { room, count: 2 });
    await leave(room, ann, bob);
  },
  "members hear of joins, presence, broadcasts and leaves": async ({ ann, bob, unique }) => {
    const room = unique("heard");
    await during(await heardBy(ann), async ({ messages }) => {
      await ann.expect(["POST", "/api/rooms/join", { room }], 200);
      await bob.expect(["POST", "/api/rooms/join", { room }], 200);
      await messages.next({ type: "join", room, user_id: bob.userId });
      const presence = { room, data: { x: 1 } };
      await bob.expect(["POST", "/api/rooms/presence", presence], 200, { updated: true });
      await messages.next({ type: "presence", ...presence, user_id: bob.userId });
      const broadcast = { room, topic: "wave", data: { hand: "left" } };
      await bob.expect(["POST", "/api/rooms/broadcast", broadcast], 200, { broadcasted: true });
      await messages.next({ type: "broadcast", ...broadcast, sender: bob.userId });
      await bob.expect(["POST", "/api/rooms/leave", { room }], 200, { was_present: true });
      await messages.next({ type: "leave", room, user_id: bob.userId });
      await leave(room, ann);
    });
  },
  "a user outside of a room hears nothing, and can't send": async ({ ann, bob, unique }) => {
    const [closed, open] = [unique("closed"), unique("open")];
    await during(await heardBy(bob), async ({ messages }) => {
      for (const room of [closed, open]) await ann.request("POST", "/api/rooms/join", { room });
      await bob.expect(["POST", "/api/rooms/join", { room: open }], 200);
      for (const room of [closed, open])
        await ann.request("POST", "/api/rooms/broadcast", { room, topic: "t", data: room });
      await messages.next({ type: "broadcast", room: open });
      expectShape(JSON.stringify(messages.all).includes(closed), false);
    });
    await bob.expect(["POST", "/api/rooms/presence", { room: closed, data: 1 }], 200, {
      updated: false,
      reason: "not_in_room",
    });
    await leave(closed, ann);
    await leave(open, ann, bob);
  },
  "a caller sees the rooms that it is in": async ({ ann, bob, unique }) => {
    const room = unique("mine");
    await ann.expect(["POST", "/api/rooms/join", { room }], 200);
    const listed = await ann.request("GET", "/api/rooms");
    expectShape(listed.body, holding({ name: room, members: 1 }));
    const others = await bob.request("GET", "/api/rooms");
    expectShape(others.text.includes(room), false);
    await leave(room, ann);
  },
  "a room takes a signed-in user and a name": async ({ ann, nobody }) => {
    await nobody.refused(["POST", "/api/rooms/join", { room: "r" }], 401, {
      code: "AUTH_REQUIRED",
    });
    await ann.refused(["POST", "/api/rooms/join", {}], 400, { code: text });
  },
};

async function leave(room: string, ...members: readonly Caller[]): Promise<void> {
  for (const member of members) await member.request("POST", "/api/rooms/leave", { room });
}
