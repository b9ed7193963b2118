import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

const CACHE = join(import.meta.dir, "..", "..", "node_modules", ".cache");
const UNPACKED = join(CACHE, "promtool");

/**
 * The path of promtool: the installed one, or that of Debian's package, which is unpacked and not
 * installed, because it would start a Prometheus.
 *
 * @returns null if it is not available
 */
export function findPromtool(): string | null {
  const program = join(UNPACKED, "usr", "bin", "promtool");
  const found = Bun.which("promtool");
  if (found !== null || existsSync(program)) return found ?? program;
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(`${UNPACKED}-`);
  const run = (command: string, ...args: string[]): boolean =>
    spawnSync(command, args, { cwd: folder, stdio: "ignore" }).status === 0;
  try {
    if (!run("apt-get", "download", "prometheus")) return null;
    const [archive = ""] = new Bun.Glob("prometheus_*.deb").scanSync(folder);
    if (!run("dpkg-deb", "--extract", archive, "unpacked")) return null;
    renameSync(join(folder, "unpacked"), UNPACKED);
    return program;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
