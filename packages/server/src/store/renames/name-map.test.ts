import { expect, test } from "bun:test";
import { parsePolicy, type Expr } from "@pylonsync/query";
import { NameMap } from "./name-map.ts";

const names = new NameMap({
  Channel: { table: "Room", columns: { teamId: "groupId" }, oldFields: {} },
  Member: { table: "Member", columns: { userId: "person" }, oldFields: {} },
});

/** Each field that a condition refers to, in the order of the text. */
function fieldsOf(expr: Expr): string[] {
  return [...JSON.stringify(expr).matchAll(/"(?:name|field)":"(\w+)"/g)].map(
    ([, name = ""]) => name,
  );
}

test("a condition refers to the columns of all rows that its exists read", () => {
  const text =
    "exists(Channel, id == data.channelId && " +
    "exists(Member, teamId == Channel.teamId && userId == auth.userId))";
  const expr = parsePolicy(text);
  expect(fieldsOf(names.expr("Message", expr))).toEqual([
    "id",
    "channelId",
    "teamId",
    "groupId",
    "person",
    "userId",
  ]);
});
