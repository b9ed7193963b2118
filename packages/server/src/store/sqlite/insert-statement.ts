import { quote } from "../sql/quote.ts";

/**
 * Returns a function that makes the INSERT statements of a table. Most rows of a table have the
 * same columns, so it keeps the last statement.
 */
export function insertStatementOf(table: string): (columns: readonly string[]) => string {
  let last: readonly string[] = [];
  let text = "";
  return (columns) => {
    if (text !== "" && isSame(columns, last)) return text;
    last = columns;
    const marks = columns.map(() => "?").join(", ");
    text = `INSERT INTO ${quote(table)} (${columns.map(quote).join(", ")}) VALUES (${marks})`;
    return text;
  };
}

function isSame(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name, index) => name === right[index]);
}
