import { expect, test } from "bun:test";
import { insertStatementOf } from "./insert-statement.ts";

test("each statement names the columns that it is given, also right after other columns", () => {
  const statement = insertStatementOf('a "b"');
  for (const columns of [["id"], ["id", "n"], ["id", "m"], ["m", "id"], ["id", 'q"'], ["id"]]) {
    const names = columns.map((name) => `"${name.replaceAll('"', '""')}"`).join(", ");
    const marks = columns.map(() => "?").join(", ");
    const expected = `INSERT INTO "a ""b""" (${names}) VALUES (${marks})`;
    expect(statement(columns)).toBe(expected);
    expect(statement([...columns])).toBe(expected);
  }
});
