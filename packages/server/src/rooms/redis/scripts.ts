import broadcast from "./broadcast.lua" with { type: "text" };
import connect from "./connect.lua" with { type: "text" };
import disconnect from "./disconnect.lua" with { type: "text" };
import enter from "./enter.lua" with { type: "text" };
import join from "./join.lua" with { type: "text" };
import leave from "./leave.lua" with { type: "text" };
import members from "./members.lua" with { type: "text" };
import prelude from "./prelude.lua" with { type: "text" };
import presence from "./presence.lua" with { type: "text" };
import register from "./register.lua" with { type: "text" };
import renew from "./renew.lua" with { type: "text" };
import retire from "./retire.lua" with { type: "text" };
import rooms from "./rooms.lua" with { type: "text" };
import sweep from "./sweep.lua" with { type: "text" };

const BODIES = {
  broadcast,
  connect,
  disconnect,
  enter,
  join,
  leave,
  members,
  presence,
  register,
  renew,
  retire,
  rooms,
  sweep,
};

/** The name of a script; its file documents its arguments and its result. */
export type ScriptName = keyof typeof BODIES;

/** The channel on which the scripts publish. */
export function channelOf(namespace: string): string {
  return `${namespace}:rooms:events`;
}

/**
 * The complete text of each script, by its name.
 *
 * @param namespace only letters, digits and `:._-%`, because it becomes part of the text
 */
export function scriptsOf(namespace: string): ReadonlyMap<string, string> {
  const head = `local P = '${namespace}:rooms:'\n${prelude}\n`;
  return new Map(Object.entries(BODIES).map(([name, body]) => [name, `${head}${body}`]));
}
