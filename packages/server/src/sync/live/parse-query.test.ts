import { PylonError } from "@pylonsync/protocol";
import { expect, test } from "bun:test";
import { openAppData } from "../../data/testing/app-data.ts";
import { chat } from "../../data/testing/chat-world.ts";
import { parseQuery } from "./parse-query.ts";

test("a subscription that filters by related rows is refused with the way out", async () => {
  await using app = await openAppData(chat);
  const ask = (where: Record<string, unknown>): unknown => {
    try {
      return parseQuery({ type: "subscribe", id: 1, entity: "Message", where }, app.model);
    } catch (error) {
      return error;
    }
  };
  for (const where of [{ channel: { open: true } }, { channel: null }]) {
    const refusal = ask(where);
    expect(refusal).toBeInstanceOf(PylonError);
    expect(refusal).toMatchObject({ code: "INVALID_QUERY", field: "where.channel" });
  }
  expect(ask({ $or: [{ n: 1 }, { channel: {} }] })).toMatchObject({
    field: "where.$or[1].channel",
  });
  expect(ask({ text: { $endsWith: "a" } })).toMatchObject({ where: { kind: "endsWith" } });
});
