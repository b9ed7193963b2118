import pkg from "../../package.json" with { type: "json" };
import { defineCommand } from "../command.ts";
import { EXIT } from "../output.ts";

/** The version of the command. */
export const VERSION: string = pkg.version;

/** `pylon version`. */
export const version = defineCommand({
  name: "version",
  args: [],
  summary: "Print the version.",
  options: {},
  run({ output }) {
    output.say(`pylon ${VERSION}`);
    output.json({ version: VERSION });
    return EXIT.OK;
  },
});
