import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { defineCommand } from "../command.ts";
import { CommandError, EXIT } from "../output.ts";
import { systemFailure } from "../system-failure.ts";
import { TEMPLATES } from "../templates.ts";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** `pylon init`: writes a new app from a template. */
export const init = defineCommand({
  name: "init",
  args: ["NAME"],
  summary: "Create a new app folder.",
  options: {
    template: {
      type: "string",
      value: [...TEMPLATES.keys()].join("|"),
      summary: "The template; default basic, or todo with --frontend react.",
    },
    frontend: {
      type: "string",
      value: "react|none",
      summary: "react: a template with a React page in web/; none: one without a page.",
    },
    "no-prompt": {
      type: "boolean",
      summary: "Accepted for compatibility; the command never prompts.",
    },
    yes: { type: "boolean", short: "y", summary: "The same as --no-prompt." },
    overwrite: {
      type: "boolean",
      summary: "Write into a non-empty folder, and overwrite existing files.",
    },
  },
  run({ args, options, output }) {
    const [path] = args;
    if (path === undefined)
      throw new CommandError("INIT_NO_PATH", "Name the app: `pylon init my-app`.", EXIT.USAGE);
    const target = resolve(path);
    const name = basename(target);
    if (!NAME.test(name))
      throw new CommandError(
        "INIT_INVALID_NAME",
        `"${name}" is not a valid app name: use letters, digits, . _ -.`,
        EXIT.USAGE,
      );
    const templateName = templateFor(options.template, options.frontend);
    const template = TEMPLATES.get(templateName);
    if (template === undefined) {
      throw new CommandError(
        "INIT_UNKNOWN_TEMPLATE",
        `There is no template "${templateName}": use ${[...TEMPLATES.keys()].join(" or ")}.`,
        EXIT.USAGE,
      );
    }
    if (existsSync(target) && !isEmptyFolder(target) && !options.overwrite)
      throw new CommandError(
        "INIT_DIR_EXISTS",
        `${path} already exists and is not an empty folder: ` +
          "choose another name, or overwrite it with --overwrite.",
      );
    const files = template(name);
    if (options.overwrite && existsSync(target)) writeOver(target, files);
    else make(target, files);
    output.say(
      `Created ${[...files.keys()].join(", ")} ` +
        `${path === "." ? "in this folder" : `in ${path}`}.\n\nRun it:  pylon ` +
        `dev${path === "." ? "" : ` ${path}`}\nIts packages, which editors and deployments ` +
        `need, are not on npm ` +
        "yet: see docs/quickstart.md for how to install them from a clone.",
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

/** @throws CommandError INIT_UNKNOWN_FRONTEND, also for a template that does not have it */
function templateFor(template: string | undefined, frontend: string | undefined): string {
  if (frontend === undefined || frontend === "none") return template ?? "basic";
  if (frontend !== "react")
    throw new CommandError(
      "INIT_UNKNOWN_FRONTEND",
      "A new app has a React page in web/, or none. For Next.js see docs/nextjs.md, for others " +
        "docs/vue.md, docs/svelte.md and docs/solid.md.",
      EXIT.USAGE,
    );
  if (template === "basic")
    throw new CommandError(
      "INIT_UNKNOWN_FRONTEND",
      "The template basic has no page: use --template todo.",
      EXIT.USAGE,
    );
  return template ?? "todo";
}

/** Whether it only contains files of a newly created repository. */
function isEmptyFolder(path: string): boolean {
  return statSync(path).isDirectory() && readdirSync(path).every((name) => name === ".git");
}

/** Writes the files into a folder with other files. @throws CommandError INIT_WRITE_FAILED */
function writeOver(target: string, files: ReadonlyMap<string, string>): void {
  try {
    for (const [file, content] of files) {
      mkdirSync(dirname(join(target, file)), { recursive: true });
      writeFileSync(join(target, file), content);
    }
  } catch (error) {
    throw new CommandError("INIT_WRITE_FAILED", systemFailure(error, target) ?? String(error));
  }
}

/**
 * Creates the complete folder or nothing, so that a retry does not find a partial one.
 *
 * @throws CommandError INIT_WRITE_FAILED
 */
function make(target: string, files: ReadonlyMap<string, string>): void {
  const isThere = existsSync(target);
  const growing = isThere
    ? join(target, `.pylon-init.${process.pid}.tmp`)
    : `${target}.${process.pid}.tmp`;
  const moved: string[] = [];
  try {
    for (const [file, content] of files) {
      const to = join(growing, file);
      mkdirSync(dirname(to), { recursive: true });
      writeFileSync(to, content);
    }
    if (!isThere) return renameSync(growing, target);
    for (const name of readdirSync(growing)) {
      renameSync(join(growing, name), join(target, name));
      moved.push(join(target, name));
    }
    rmSync(growing, { recursive: true });
  } catch (error) {
    for (const path of [growing, ...moved])
      if (existsSync(path)) rmSync(path, { recursive: true, force: true });
    throw new CommandError(
      "INIT_WRITE_FAILED",
      "The app was not created: " +
        (systemFailure(error, target) ?? String(error)).replaceAll(growing, target),
    );
  }
}
