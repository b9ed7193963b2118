// npm run build:release -- [--url URL] [FOLDER] [PLATFORM...]: builds the files of a release: the
// executable for every platform, install.sh, and their checksums. The Bun of each other platform
// comes from npm. Default: dist/release. URL is where releases will be published, each in a folder
// v<version>: with it install.sh needs no variables.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { installPackages, root, run } from "./install.mjs";

const PLATFORMS = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"];

installPackages();
const { values, positionals } = parseArgs({
  options: { url: { type: "string" } },
  allowPositionals: true,
});
const [given = join(root, "dist", "release"), ...only] = positionals;
if (values.url !== undefined && !/^https:\/\/[\w.:/~-]+$/.test(values.url)) {
  console.error(
    `--url is "${values.url}": it wants an address that begins with https://, such as ` +
      "https://downloads.example.com/pylon.",
  );
  process.exit(64);
}
const folder = resolve(given);
const platforms = only.length === 0 ? PLATFORMS : only;
mkdirSync(folder, { recursive: true });
rmSync(join(folder, "SHA256SUMS"), { force: true });
for (const platform of platforms) {
  run(process.execPath, [
    join(root, "packages", "cli", "bin", "pylon.mjs"),
    "compile",
    "--target",
    platform,
    "--out",
    join(folder, `pylon-${platform}`),
  ]);
}
writeFileSync(join(folder, "install.sh"), installer(), { mode: 0o755 });
const sums = [...platforms.map((platform) => `pylon-${platform}`), "install.sh"].map(
  (name) =>
    `${createHash("sha256")
      .update(readFileSync(join(folder, name)))
      .digest("hex")}  ${name}\n`,
);
writeFileSync(join(folder, "SHA256SUMS"), sums.join(""));

/** The script, with the URL of the release inserted. */
function installer() {
  const script = readFileSync(join(root, "deploy", "install.sh"), "utf8");
  const { version } = JSON.parse(
    readFileSync(join(root, "packages", "cli", "package.json"), "utf8"),
  );
  const known = script.replace("${PYLON_VERSION:-}", `\${PYLON_VERSION:-${version}}`);
  return values.url === undefined
    ? known
    : known.replace("${PYLON_RELEASES_URL:-}", `\${PYLON_RELEASES_URL:-${values.url}}`);
}
