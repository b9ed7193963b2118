import { MAX_CASCADE_WRITES, MAX_TRANSACTION_WRITES } from "@pylonsync/protocol";
import { expect, test } from "bun:test";
import { WriteCounts } from "./write-counts.ts";

test("one row more than a transaction may write is rejected", () => {
  const counts = new WriteCounts();
  for (let row = 0; row < MAX_TRANSACTION_WRITES; row += 1) counts.countWrite();
  expect(() => {
    counts.countWrite();
  }).toThrow(`A transaction may write at most ${MAX_TRANSACTION_WRITES} rows.`);
});

test("rows that are written by a cascade are counted separately", () => {
  const counts = new WriteCounts();
  counts.countCascaded(MAX_CASCADE_WRITES);
  counts.countWrite();
  expect(() => {
    counts.countCascaded(1);
  }).toThrow(`The deletes of a transaction may change at most ${MAX_CASCADE_WRITES} rows`);
});
