import pkg from "../../package.json" with { type: "json" };
import type { Command } from "../command.ts";
import { EXIT } from "../output.ts";

export const VERSION: string = pkg.version;

export const version: Command = {
  name: "version",
  usage: "version",
  summary: "Print the version.",
  async run({ output }) {
    output.say(`pylon ${VERSION}`);
    output.json({ version: VERSION });
    return EXIT.OK;
  },
};
