import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pylon } from "../../../packages/cli/src/testing/pylon-process.ts";
import { canInstall, QUIET, SstPlatform } from "./platform.ts";
import { VERSIONS } from "./stage.ts";

for (const version of VERSIONS) {
  describe.skipIf(!canInstall(version))(`sst ${version}`, () => {
    test("S2: a stage without secrets gets generated ones, which stay the same", async () => {
      const platform = new SstPlatform(version);
      const folder = mkdtempSync(join(tmpdir(), "pylon-sst-secrets-"));
      try {
        platform.linkInto(folder);
        writeFileSync(
          join(folder, "sst.config.ts"),
          'export default $config({ app: () => ({ name: "proof", home: "local" }), async ' +
            "run() {} });",
        );
        const env = { ...QUIET, XDG_CONFIG_HOME: join(folder, ".config") };
        const run = (...args: string[]): ReturnType<typeof pylon> =>
          pylon(["secrets", ...args, "--stage", "new"], folder, env);
        expect(await run("list")).toMatchObject({
          exitCode: 0,
          stdout: expect.stringContaining("missing PYLON_ADMIN_TOKEN"),
        });
        expect(await run("generate")).toMatchObject({ exitCode: 0 });
        const { exitCode, stdout } = await run("list");
        expect(exitCode).toBe(0);
        expect(stdout).toContain("set     PYLON_ADMIN_TOKEN");
        expect(stdout).toContain("set     PYLON_SSO_ENCRYPTION_KEY");
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }, 900_000);
  });
}
