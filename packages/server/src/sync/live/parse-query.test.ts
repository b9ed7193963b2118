import { MAX_SUBSCRIPTION_TERMS } from "@pylonsync/protocol";
import { expect, test } from "bun:test";
import { openAppData, user, type AppData } from "../../data/testing/app-data.ts";
import { chat } from "../../data/testing/chat-world.ts";
import { ANONYMOUS } from "../../identity/identity.ts";
import { parseQuery } from "./parse-query.ts";

function ask(app: AppData, where: Record<string, unknown>, entity = "Message"): unknown {
  try {
    return parseQuery({ type: "subscribe", id: 1, entity, where }, app.model, user("ann"));
  } catch (error) {
    return error;
  }
}

test("what a subscription asks of related rows is what its caller may read of them", async () => {
  await using app = await openAppData(chat);
  const literal = (value: unknown): object => ({ kind: "literal", value });
  const related = (name: string): object => ({ kind: "path", root: "related", name });
  expect(ask(app, { channel: { team: { name: "a" } } })).toMatchObject({
    where: {
      kind: "exists",
      entity: "Channel",
      where: {
        items: [
          { left: related("id"), right: { kind: "path", root: "data", name: "channelId" } },
          {
            kind: "exists",
            entity: "Team",
            where: {
              items: [
                { left: related("id"), right: { kind: "outer", up: 1, name: "teamId" } },
                { left: related("name"), right: literal("a") },
                // The policy of teams.
                { left: related("ownerId"), right: literal("ann") },
              ],
            },
          },
          // The policy of channels.
          {
            kind: "or",
            items: [
              related("open"),
              {
                kind: "exists",
                entity: "Member",
                where: {
                  items: [
                    { left: related("channelId"), right: { kind: "outer", up: 1, name: "id" } },
                    { left: related("userId"), right: literal("ann") },
                  ],
                },
              },
            ],
          },
        ],
      },
    },
  });
});

test("what is wrong in a filter over related rows is refused with its place", async () => {
  await using app = await openAppData(chat);
  for (const [where, code, field] of [
    [{ channel: { opne: true } }, "INVALID_COLUMN", "channel.opne"],
    [{ $or: [{ n: 1 }, { channel: "c1" }] }, "INVALID_QUERY", "$or[1].channel"],
    [{ channel: { $limit: 1 } }, "INVALID_QUERY", "channel.$limit"],
    [
      { $or: Array.from({ length: 9 }, () => ({ channel: {} })) },
      "INVALID_QUERY",
      "$or[8].channel",
    ],
  ] as const)
    expect(ask(app, where)).toMatchObject({ code, field });
});

test("the conditions of policies do not count among those of a subscription", async () => {
  await using app = await openAppData(chat);
  const many = (n: number): object => ({
    channel: { $or: Array.from({ length: n }, (_, index) => ({ name: `${index}` })) },
  });
  expect(ask(app, { ...many(MAX_SUBSCRIPTION_TERMS) })).toMatchObject({
    where: { kind: "exists" },
  });
  expect(ask(app, { ...many(MAX_SUBSCRIPTION_TERMS + 1) })).toMatchObject({
    code: "INVALID_QUERY",
    field: "where",
  });
});

test("a subscription takes no $search, and the refusal names what does", async () => {
  await using app = await openAppData(chat);
  const where = { $search: "words" };
  const ask = (): unknown =>
    parseQuery({ type: "subscribe", id: 1, entity: "Message", where }, app.model, ANONYMOUS);
  expect(ask).toThrow(
    expect.objectContaining({
      code: "INVALID_QUERY",
      field: "where.$search",
      hint: "Subscribe to the function $search instead, as useSearch does.",
    }),
  );
});
