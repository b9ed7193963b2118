import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { defineCommand } from "../command.ts";
import { CommandError, EXIT } from "../output.ts";
import { TEMPLATES } from "../templates.ts";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

export const init = defineCommand({
  name: "init",
  args: ["NAME"],
  summary: "Make a new app folder.",
  options: {
    template: { type: "string", value: [...TEMPLATES.keys()].join("|"), summary: "What it begins with; default basic." },
  },
  async run({ args, options, output }) {
    const [path] = args;
    if (path === undefined) throw new CommandError("INIT_NO_PATH", "Name the app: `pylon init my-app`.", EXIT.USAGE);
    const target = resolve(path);
    const name = basename(target);
    if (!NAME.test(name)) throw new CommandError("INIT_INVALID_NAME", `"${name}" can't name an app: use letters, digits, . _ -.`, EXIT.USAGE);
    const templateName = options.template ?? "basic";
    const template = TEMPLATES.get(templateName);
    if (template === undefined) {
      throw new CommandError("INIT_UNKNOWN_TEMPLATE", `There is no template "${templateName}": use ${[...TEMPLATES.keys()].join(" or ")}.`, EXIT.USAGE);
    }
    if (existsSync(target)) throw new CommandError("INIT_DIR_EXISTS", `${path} exists already: choose another name.`);
    const files = template(name);
    for (const [file, content] of files) {
      const to = join(target, file);
      mkdirSync(dirname(to), { recursive: true });
      writeFileSync(to, content);
    }
    output.say(`Made ${path} with ${[...files.keys()].join(", ")}.\n\nRun it:  pylon dev ${path}\nFor editors and for deployments:  cd ${path} && npm install`);
    output.json({ code: "INIT_OK", path: target, template: templateName, files: [...files.keys()] });
    return EXIT.OK;
  },
});
