import { existsSync, readFileSync } from "node:fs";
import { rootCertificates } from "node:tls";
import { run } from "../../../tests/support/run.ts";

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;
/** Settings that name files and folders of this machine, or its registry. */
const OF_THIS_MACHINE = /^\s*(cafile|prefix|cache|registry)\s*=/;
const known = new Set(rootCertificates.map(squeeze));

/** The settings with which this machine's npm reaches its registry, as the text of one .npmrc. */
export async function npmSettings(): Promise<string> {
  const get = async (key: string): Promise<string> =>
    (await run(["npm", "config", "get", key])).trim();
  const files = [await get("globalconfig"), await get("userconfig")].filter((file) =>
    existsSync(file),
  );
  const lines = files
    .flatMap((file) => readFileSync(file, "utf8").split("\n"))
    .filter((line) => !OF_THIS_MACHINE.test(line));
  return [
    ...lines,
    `registry=${await get("registry")}`,
    ...ownCertificates(await get("cafile")),
    "",
  ].join("\n");
}

/**
 * The certificates that Node does not know: all of them would be too long for the environment, into
 * which npm puts its settings.
 */
function ownCertificates(cafile: string): string[] {
  const file = [cafile, process.env["NODE_EXTRA_CA_CERTS"]].find(
    (path) => path !== undefined && existsSync(path),
  );
  const found = file === undefined ? [] : (readFileSync(file, "utf8").match(CERTIFICATE) ?? []);
  return found
    .filter((text) => !known.has(squeeze(text)))
    .map((text) => `ca[]="${text.replaceAll("\n", "\\n")}"`);
}

function squeeze(text: string): string {
  return text.replaceAll(/\s/g, "");
}
