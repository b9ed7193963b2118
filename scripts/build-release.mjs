// npm run build:release [-- FOLDER]: what a release consists of: the executable for every platform, install.sh, and their checksums.
// The Bun of each other platform comes from npm. Default: dist/release.
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { installPackages, root, run } from "./install.mjs";

const PLATFORMS = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"];

installPackages();
const [given = join(root, "dist", "release"), ...only] = process.argv.slice(2);
const folder = resolve(given);
const platforms = only.length === 0 ? PLATFORMS : only;
mkdirSync(folder, { recursive: true });
rmSync(join(folder, "SHA256SUMS"), { force: true });
for (const platform of platforms) {
  run(process.execPath, [join(root, "packages", "cli", "bin", "pylon.mjs"), "compile", "--target", platform, "--out", join(folder, `pylon-${platform}`)]);
}
copyFileSync(join(root, "deploy", "install.sh"), join(folder, "install.sh"));
const sums = [...platforms.map((platform) => `pylon-${platform}`), "install.sh"].map((name) => `${createHash("sha256").update(readFileSync(join(folder, name))).digest("hex")}  ${name}\n`);
writeFileSync(join(folder, "SHA256SUMS"), sums.join(""));
