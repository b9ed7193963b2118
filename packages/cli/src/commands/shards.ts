import { existsSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { checkReplay, type ReplayCheck } from "@pylonsync/server";
import { defineCommand } from "../command.ts";
import { CommandError, EXIT, type Output } from "../output.ts";
import { actionOf, change, printList, printOne } from "../remote/actions.ts";
import { AdminClient, URL_OPTION } from "../remote/admin-client.ts";

const ACTIONS = {
  list: false,
  show: true,
  stop: true,
  reset: true,
  replays: true,
  replay: true,
};
const COLUMNS = ["id", "running", "tick", "subscribers", "input_queue"];
const REPLAY_COLUMNS = ["replay", "ended_at", "from_tick", "to_tick", "players", "bytes", "code"];

/** `pylon shards`: lists the shards of a running server, stops them, and replays runs. */
export const shards = defineCommand({
  name: "shards",
  args: ["list|show|stop|reset|replays|replay", "[ID]"],
  summary:
    "List the shards of a running server as its admin; show, stop (it resumes with the next " +
    "player) or reset a shard. List the recordings of a shard, and replay one, given as " +
    "SHARD/REPLAY or as a file: its state must match the server's at every checkpoint.",
  options: {
    url: URL_OPTION,
    dir: {
      type: "string",
      value: "DIR",
      summary: "replay: the app's folder; default the " + "current one.",
    },
    save: {
      type: "string",
      value: "FILE",
      summary: "replay: also write the recording to a file.",
    },
    "any-code": {
      type: "boolean",
      summary: "replay: replay it even if it was recorded with different code.",
    },
  },
  async run({ args, options, output, env }) {
    const { action, id } = actionOf("shards", args, ACTIONS);
    if (action === "replay") {
      const text = existsSync(id)
        ? await readFile(id, "utf8")
        : await downloaded(new AdminClient(options.url, env), id);
      if (options.save !== undefined) writeFileSync(options.save, text);
      return replayed(text, options.dir ?? ".", options["any-code"] === true, output);
    }
    const client = new AdminClient(options.url, env);
    const path = `/api/shards/${encodeURIComponent(id)}`;
    switch (action) {
      case "list":
        await printList(client, "/api/shards", COLUMNS, output);
        break;
      case "show":
        await printOne(client, path, output);
        break;
      case "replays":
        await printList(client, `${path}/replays`, REPLAY_COLUMNS, output, nameReplay);
        break;
      case "stop":
        await change(
          client,
          "POST",
          `${path}/stop`,
          `${id} is stopped and its state is saved.`,
          output,
        );
        break;
      case "reset":
        await change(client, "DELETE", path, `${id} is ended and its state is deleted.`, output);
    }
    return EXIT.OK;
  },
});

/** In the form that `pylon shards replay` accepts. */
function nameReplay(row: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return { ...row, replay: `${String(row["shard"])}/${String(row["id"])}` };
}

async function downloaded(client: AdminClient, id: string): Promise<string> {
  const [shard = "", replay = "", ...more] = id.split("/");
  if (shard === "" || replay === "" || more.length > 0)
    throw new CommandError(
      "USAGE",
      `File ${id} does not exist. For a recording on the server, use SHARD/REPLAY as listed ` +
        "by `pylon shards replays SHARD`.",
      EXIT.USAGE,
    );
  const [ofShard, ofReplay] = [shard, replay].map(encodeURIComponent);
  return (await client.get(`/api/shards/${ofShard}/replays/${ofReplay}`)).text();
}

async function replayed(
  text: string,
  dir: string,
  takesAnyCode: boolean,
  output: Output,
): Promise<number> {
  const check = await checkReplay(dir, text).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandError("REPLAY_UNPLAYABLE", why);
  });
  const { recordedCode, ownCode, isSame } = check;
  const isOther = recordedCode !== null && ownCode !== recordedCode;
  output.json({ ...check, isSameCode: !isOther });
  if (isOther && !takesAnyCode)
    throw new CommandError(
      "REPLAY_OTHER_CODE",
      `The run was recorded with different code (${recordedCode}) than that in ${dir} ` +
        `(${ownCode}): ` +
        "check out that version, or replay it with this one with --any-code.",
    );
  for (const line of linesOf(check)) output.say(line);
  return isSame ? EXIT.OK : EXIT.FAILED;
}

function linesOf({ shard, from, to, ms, ...verdict }: ReplayCheck): readonly string[] {
  const { isSame, checked, checkpoints, differsAt } = verdict;
  const steps = `${shard}: ${to - from} steps (${from} to ${to}) in ${Math.round(ms)} ms.`;
  if (!isSame)
    return [
      steps,
      `The state differs from the server's at step ${differsAt}. A handler depends on something ` +
        "other than its state, inputs and step, such as Date or Math.random, or the code is " +
        "different.",
    ];
  return [steps, `The state matches the server's at ${checked} of ${checkpoints} checkpoints.`];
}
