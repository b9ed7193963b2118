import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { debianProgram } from "./debian.ts";

/** A certificate authority for one test, and the certificate for `localhost` that it signed. */
export class Certificate implements Disposable {
  readonly #dir = mkdtempSync(join(tmpdir(), "pylon-certificate-"));
  /** Files in PEM: the certificate, its key, both in one. */
  readonly certificate = join(this.#dir, "server.crt");
  readonly key = join(this.#dir, "server.key");
  readonly both = join(this.#dir, "server.pem");
  /** The text of the authority's certificate, for clients. */
  readonly ca: string;

  constructor() {
    const [caKey, caFile, request, extensions] = [
      "ca.key",
      "ca.crt",
      "server.csr",
      "server.ext",
    ].map((name) => join(this.#dir, name)) as [string, string, string, string];
    writeFileSync(extensions, "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
    openssl(
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-days",
      "2",
      "-subj",
      "/CN=An authority of a test",
      "-keyout",
      caKey,
      "-out",
      caFile,
    );
    openssl(
      "req",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-subj",
      "/CN=localhost",
      "-keyout",
      this.key,
      "-out",
      request,
    );
    openssl(
      "x509",
      "-req",
      "-in",
      request,
      "-CA",
      caFile,
      "-CAkey",
      caKey,
      "-CAcreateserial",
      "-days",
      "2",
      "-extfile",
      extensions,
      "-out",
      this.certificate,
    );
    writeFileSync(
      this.both,
      readFileSync(this.certificate, "utf8") + readFileSync(this.key, "utf8"),
    );
    this.ca = readFileSync(caFile, "utf8");
  }

  [Symbol.dispose](): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

function openssl(...args: string[]): void {
  const { status, stderr } = spawnSync(debianProgram("openssl", "openssl"), args, {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`openssl failed: ${stderr}`);
}
