import { buildManifest, entity, field } from "@pylonsync/sdk";
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Schema } from "../schema/schema.ts";
import { rowBytes } from "../store/row-size.ts";
import type { StoredRow } from "../store/store.ts";
import { checkRowSize } from "./row-size-limit.ts";
import { anyText } from "../../../../tests/support/any-text.ts";

const LIMIT = 300;

const note = Schema.fromManifest(
  buildManifest({
    name: "t",
    version: "1",
    entities: [entity("Note", { title: field.string(), body: field.string() })],
  }),
).entity("Note");

function refusal(row: StoredRow, before: StoredRow | null): unknown {
  try {
    checkRowSize(note, row, before, LIMIT);
    return undefined;
  } catch (error) {
    return error;
  }
}

const rows = fc.record({
  id: fc.constant("n1"),
  title: anyText({ maxLength: 80 }),
  body: anyText({ maxLength: 160 }),
});

test("a row is rejected if its bytes exceed the limit, unless it was larger before", () => {
  fc.assert(
    fc.property(rows, fc.option(rows), (row, before) => {
      const isOver = rowBytes(row) > LIMIT;
      const isSmaller = before !== null && rowBytes(row) < rowBytes(before);
      expect(refusal(row, before) === undefined).toBe(!isOver || isSmaller);
    }),
  );
});

test("the error names the largest field", () => {
  const row = { id: "n1", title: "a", body: "ö".repeat(LIMIT) };
  expect(refusal(row, null)).toMatchObject({ code: "PAYLOAD_TOO_LARGE", field: "body" });
});
