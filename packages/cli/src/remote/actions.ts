import type { Output } from "../output.ts";
import { CommandError, EXIT } from "../output.ts";
import type { AdminClient } from "./admin-client.ts";
import { columnsOf, fieldOf } from "./columns.ts";

type Row = Readonly<Record<string, unknown>>;

/**
 * The action that was given to a command, and its target.
 *
 * @param actions by name: whether it requires the name of a target
 * @throws CommandError USAGE
 */
export function actionOf<A extends string>(
  command: string,
  args: readonly string[],
  actions: Readonly<Record<A, boolean>>,
): { readonly action: A; readonly id: string } {
  const [given = "", id = ""] = args;
  const names = Object.keys(actions);
  if (!isOneOf(given, actions))
    throw new CommandError(
      "USAGE",
      `Specify an action: \`pylon ${command} ${names.join("|")}\`.`,
      EXIT.USAGE,
    );
  if (actions[given] === (id !== "")) return { action: given, id };
  throw new CommandError(
    "USAGE",
    id === ""
      ? `Specify one: \`pylon ${command} ${given} NAME\`; \`pylon ${command} list\` lists them.`
      : `\`pylon ${command} ${given}\` takes no name: it applies to all.`,
    EXIT.USAGE,
  );
}

function isOneOf<A extends string>(text: string, actions: Readonly<Record<A, boolean>>): text is A {
  return Object.hasOwn(actions, text);
}

/**
 * Prints the response of a list route, as columns for people.
 *
 * @param shown returns the columns of a row for people
 */
export async function printList(
  client: AdminClient,
  path: string,
  columns: readonly string[],
  output: Output,
  shown: (row: Row) => Row = (row) => row,
): Promise<void> {
  const rows: readonly Row[] = await (await client.get(path)).json();
  output.json(rows);
  if (output.isJson) return;
  const cells = rows.map((row) => columns.map((name) => fieldOf(shown(row), name)));
  for (const line of columnsOf(
    columns.map((name) => name.replaceAll("_", " ")),
    cells,
  ))
    output.say(line);
}

/** Prints the response of a route about one item, a line for each field. @returns it */
export async function printOne(client: AdminClient, path: string, output: Output): Promise<Row> {
  const row: Row = await (await client.get(path)).json();
  output.json(row);
  const fields = Object.keys(row)
    .filter((name) => name !== "steps" && fieldOf(row, name) !== "")
    .map((name) => [name.replaceAll("_", " "), fieldOf(row, name)]);
  for (const field of fields) output.say(pairOf(field));
  return row;
}

const LABEL_WIDTH = 14;

function pairOf([label = "", value = ""]: readonly string[]): string {
  return `${label.padEnd(LABEL_WIDTH)}${value}`;
}

/** Performs a change by a route, and prints a message. */
export async function change(
  client: AdminClient,
  method: "POST" | "DELETE",
  path: string,
  said: string,
  output: Output,
): Promise<void> {
  const answer: unknown = await (await client.send(method, path)).json();
  output.json(answer);
  output.say(said);
}
