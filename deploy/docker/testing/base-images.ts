import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { debianProgram } from "../../../tests/support/servers/debian.ts";
import { run } from "../../../tests/support/run.ts";

const CACHE = join(import.meta.dir, "..", "..", "..", "node_modules", ".cache", "docker-bases");
/** The folders that Debian's own slim images omit, and those that an installation leaves behind. */
const LEFT_OUT = [
  "usr/share/doc",
  "usr/share/man",
  "usr/share/info",
  "usr/share/locale",
  "usr/share/lintian",
  "var/lib/apt/lists",
  "var/cache/apt",
  "var/cache/debconf",
  "var/cache/ldconfig",
  "var/log",
];

/**
 * Creates a build context for `debian:bookworm-slim`: the same packages as in Debian's image of
 * that name, from this machine's mirror.
 */
export async function debianContext(): Promise<string> {
  const context = join(CACHE, "debian");
  const tar = join(context, "base.tar");
  if (existsSync(tar)) return context;
  mkdirSync(context, { recursive: true });
  const scratch = mkdtempSync(join(tmpdir(), "pylon-debootstrap-"));
  try {
    const root = join(scratch, "root");
    await run([
      debianProgram("debootstrap", "debootstrap"),
      "--variant=minbase",
      "bookworm",
      root,
      ...(await mirror()),
    ]);
    for (const path of LEFT_OUT) rmSync(join(root, path), { recursive: true, force: true });
    mkdirSync(join(root, "var/log"));
    mkdirSync(join(root, "var/cache/apt/archives/partial"), { recursive: true });
    await run(["tar", "--numeric-owner", "-C", root, "-cf", join(scratch, "base.tar"), "."]);
    cpSync(join(scratch, "base.tar"), `${tar}.part`);
    renameSync(`${tar}.part`, tar);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  writeFileSync(
    join(context, "Dockerfile"),
    "FROM scratch\nADD base.tar /\nENV " +
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nCMD ["bash"]\n',
  );
  return context;
}

/** Creates a build context for `node:20-bookworm-slim`: this machine's Node and npm on Debian. */
export async function nodeContext(folder: string): Promise<string> {
  const context = join(folder, "node");
  const npm = dirname(dirname((await run(["readlink", "-f", Bun.which("npm") ?? "npm"])).trim()));
  const node = (await run(["node", "-p", "process.execPath"])).trim();
  mkdirSync(context, { recursive: true });
  cpSync(node, join(context, "node"));
  chmodSync(join(context, "node"), 0o755);
  cpSync(npm, join(context, "npm"), { recursive: true });
  writeFileSync(
    join(context, "Dockerfile"),
    "FROM debian:bookworm-slim\nCOPY node /usr/bin/node\nCOPY npm " +
      "/usr/lib/node_modules/npm\nRUN ln -s ../lib/node_modules/npm/bin/npm-cli.js " +
      "/usr/bin/npm && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/bin/npx\n",
  );
  return context;
}

/**
 * The mirror from which this machine's apt gets bookworm; empty if it has no source for bookworm.
 */
async function mirror(): Promise<string[]> {
  const lines = await run([
    "apt-get",
    "indextargets",
    "--format",
    "$(REPO_URI) $(CODENAME) $(COMPONENT)",
    "Created-By: Packages",
  ]);
  return lines
    .split("\n")
    .flatMap((line) => (line.endsWith(" bookworm main") ? [line.split(" ")[0] ?? ""] : []))
    .slice(0, 1);
}
