import { expect, test } from "bun:test";
import { readShardInput } from "./shards.ts";

test("a message of a shard's client is read", () => {
  const read = (message: unknown): unknown => readShardInput(message);
  expect(read({ input: { dx: 1 }, client_seq: 3, seen: 1.5 })).toEqual({
    input: { dx: 1 },
    client_seq: 3,
    seen: 1.5,
  });
  expect(read({})).toEqual({ input: null, client_seq: null, seen: undefined });
  expect(read({ input: 0, more: 1 })).toEqual({ input: 0, client_seq: null, seen: undefined });
  for (const wrong of [null, 1, "a", [], { client_seq: -1 }, { client_seq: 1.5 }])
    expect(read(wrong)).toBeNull();
  for (const seen of [-1, Infinity, "1", null]) expect(read({ input: 1, seen })).toBeNull();
  expect(read({ input: 1, client_seq: null })).toBeNull();
});
