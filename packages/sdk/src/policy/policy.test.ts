import { expect, test } from "bun:test";
import { parsePolicy } from "@pylonsync/query";
import fc from "fast-check";
import { entity } from "../entity.ts";
import { field } from "../field.ts";
import { policy } from "./policy.ts";
import { anyText } from "../../../../tests/support/any-text.ts";

const Member = entity("Member", { channelId: field.id("Channel"), userId: field.string() });
const Channel = entity("Channel", { teamId: field.string(), isOpen: field.bool() });
const Message = entity("Message", {
  channelId: field.id("Channel"),
  authorId: field.string().owner(),
  text: field.string(),
  state: field.enum(["open", "done"]),
  rank: field.int().optional(),
  at: field.datetime(),
});

/** The tree of a text, without the positions in it. */
function treeOf(text: string | undefined): unknown {
  return JSON.parse(
    JSON.stringify(parsePolicy(text ?? ""), (key, value: unknown) =>
      key === "at" ? undefined : value,
    ),
  );
}

test("rules as functions compile to the same tree as texts", () => {
  const {
    name,
    entity: about,
    fields,
    ...rules
  } = policy({
    name: "messages",
    entity: Message,
    allowRead: ({ row, auth, exists, and, or, not }) =>
      or(
        and(row.state.eq("open"), not(row.rank.gt(3)), row.at.lte(new Date(0))),
        exists(Member, (member) =>
          and(member.channelId.eq(row.channelId), member.userId.eq(auth.userId)),
        ),
        exists(Channel, (channel) => channel.isOpen),
        auth.hasAnyRole("a", "b"),
        row.text.in(auth.roles),
        row.text.contains("x"),
      ),
    allowUpdate: ({ row, old, auth, and }) =>
      and(row.authorId.eq(auth.userId), row.channelId.eq(old.channelId), row.rank.ne(null)),
    allowInsert: ({ row, auth, now, or }) =>
      or(row.state.in(["open", "done"]), row.rank.eq(auth.claim("level")), row.at.gt(now)),
    allowDelete: () => false,
    fields: { rank: { allowRead: ({ auth, and }) => and(auth.hasRole("x"), auth.isAdmin) } },
  });
  expect([name, about]).toEqual(["messages", "Message"]);
  const written = {
    allowRead:
      'data.state == "open" && !(data.rank > 3) && data.at <= "1970-01-01T00:00:00.000Z" || ' +
      "exists(Member, channelId == data.channelId && userId == auth.userId) || " +
      'exists(Channel, isOpen) || auth.hasAnyRole("a", "b") || data.text in auth.roles || ' +
      'data.text contains "x"',
    allowUpdate:
      "data.authorId == auth.userId && data.channelId == old.channelId && data.rank != null",
    allowInsert:
      'data.state in ["open", "done"] || data.rank == auth.claims.level || data.at > now()',
    allowDelete: "false",
  };
  expect(Object.keys(rules).toSorted()).toEqual(Object.keys(written).toSorted());
  for (const [key, text] of Object.entries(written))
    expect(treeOf(Reflect.get(rules, key) as string)).toEqual(treeOf(text));
  expect(treeOf(fields?.["rank"]?.allowRead)).toEqual(treeOf('auth.hasRole("x") && auth.isAdmin'));
});

test("any text and number is compiled to itself", () => {
  fc.assert(
    fc.property(anyText(), fc.integer(), (text, number) => {
      const { allow } = policy({
        name: "p",
        entity: Message,
        allow: ({ row, or }) => or(row.text.eq(text), row.rank.eq(number)),
      });
      expect(treeOf(allow)).toMatchObject({
        items: [{ right: { value: text } }, { right: { value: number } }],
      });
    }),
  );
});

test("the compiler and the builder reject unknown names", () => {
  const build = (allow: Parameters<typeof policy<typeof Message>>[0]["allow"] & {}) => () =>
    policy({ name: "p", entity: Message, allow });
  // @ts-expect-error a field that is misspelt
  expect(build(({ row }) => row.txt.eq("x"))).toThrow('Message has no field "txt".');
  // @ts-expect-error a value of another kind
  build(({ row }) => row.rank.eq("x"));
  // @ts-expect-error a value that the enum lacks
  build(({ row }) => row.state.eq("opn"));
  // @ts-expect-error what is not a condition
  build(({ row }) => row.text);
  // @ts-expect-error a field that the entity lacks
  policy({ name: "p", entity: Message, fields: { txt: { allow: "true" } } });
  // @ts-expect-error a function for an entity that is named by a text
  expect(() => policy({ name: "p", entity: "Message", allow: () => true })).toThrow(
    "Pass the entity object",
  );
  expect(build(({ row }) => row.rank.gt(1e300))).toThrow("A policy may contain");
});

test("an inner exists names the row of an outer one, as a text does", () => {
  const { allow } = policy({
    name: "p",
    entity: Message,
    allow: ({ row, auth, exists, and }) =>
      exists(Channel, (channel) =>
        and(
          channel.id.eq(row.channelId),
          exists(Member, (member) =>
            and(member.channelId.eq(channel.teamId), member.userId.eq(auth.userId)),
          ),
        ),
      ),
  });
  expect(treeOf(allow)).toEqual(
    treeOf(
      "exists(Channel, id == data.channelId && " +
        "exists(Member, channelId == Channel.teamId && userId == auth.userId))",
    ),
  );
});
