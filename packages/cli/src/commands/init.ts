import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { defineCommand } from "../command.ts";
import { CommandError, EXIT } from "../output.ts";
import { systemFailure } from "../system-failure.ts";
import { TEMPLATES } from "../templates.ts";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

export const init = defineCommand({
  name: "init",
  args: ["NAME"],
  summary: "Make a new app folder.",
  options: {
    template: {
      type: "string",
      value: [...TEMPLATES.keys()].join("|"),
      summary: "What it begins with; default basic.",
    },
  },
  async run({ args, options, output }) {
    const [path] = args;
    if (path === undefined)
      throw new CommandError("INIT_NO_PATH", "Name the app: `pylon init my-app`.", EXIT.USAGE);
    const target = resolve(path);
    const name = basename(target);
    if (!NAME.test(name))
      throw new CommandError(
        "INIT_INVALID_NAME",
        `"${name}" can't name an app: use letters, digits, . _ -.`,
        EXIT.USAGE,
      );
    const templateName = options.template ?? "basic";
    const template = TEMPLATES.get(templateName);
    if (template === undefined) {
      throw new CommandError(
        "INIT_UNKNOWN_TEMPLATE",
        `There is no template "${templateName}": use ${[...TEMPLATES.keys()].join(" or ")}.`,
        EXIT.USAGE,
      );
    }
    if (existsSync(target))
      throw new CommandError("INIT_DIR_EXISTS", `${path} exists already: choose another name.`);
    const files = template(name);
    make(target, files);
    output.say(
      `Made ${path} with ${[...files.keys()].join(", ")}.\n\nRun it:  pylon dev ${path}\nIts packages, which editors and deployments need, are not on npm yet: docs/quickstart.md says how to install them from a clone.`,
    );
    output.json({
      code: "INIT_OK",
      path: target,
      template: templateName,
      files: [...files.keys()],
    });
    return EXIT.OK;
  },
});

/**
 * Makes the folder whole or not at all, so that another try does not find half of it.
 *
 * @throws CommandError INIT_WRITE_FAILED
 */
function make(target: string, files: ReadonlyMap<string, string>): void {
  const growing = `${target}.${process.pid}.tmp`;
  try {
    for (const [file, content] of files) {
      const to = join(growing, file);
      mkdirSync(dirname(to), { recursive: true });
      writeFileSync(to, content);
    }
    renameSync(growing, target);
  } catch (error) {
    if (existsSync(growing)) rmSync(growing, { recursive: true, force: true });
    throw new CommandError(
      "INIT_WRITE_FAILED",
      `The app was not made: ${(systemFailure(error, target) ?? String(error)).replaceAll(growing, target)}`,
    );
  }
}
