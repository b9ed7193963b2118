import {
  chmodSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename } from "node:path";
import { CommandError } from "../output.ts";
import { parseEnvText } from "./env-text.ts";

const READ_BY_ITS_OWNER = 0o600;
/** Written by `pylon deploy --target systemd`; other files are primarily for Docker. */
export const SYSTEMD_FILE = ".env.systemd";

/** A file of variables, such as `.env.production`, that only its owner may read. */
export class EnvFile {
  readonly path: string;
  #text: string;

  /** A missing file is treated as an empty one. */
  constructor(path: string) {
    this.path = path;
    this.#text = existsSync(path) && statSync(path).isFile() ? readFileSync(path, "utf8") : "";
  }

  get values(): Readonly<Record<string, string | undefined>> {
    return parseEnvText(this.#text);
  }

  /** Whether the variable has a value; an empty one does not count. */
  has(name: string): boolean {
    return (this.values[name] ?? "") !== "";
  }

  /**
   * Sets a variable, in its existing place, or at the end.
   *
   * @param comment written above a new one
   * @returns which reader would read another value; null if all agree
   * @throws CommandError SECRETS_INVALID_VALUE for a value that can't be written for all of them
   */
  set(name: string, value: string, comment?: string): string | null {
    const { text, note } = written(name, value, basename(this.path) === SYSTEMD_FILE);
    const line = `${name}=${text}`;
    const existing = new RegExp(`^[ \\t]*(?:export[ \\t]+)?${name}[ \\t]*=.*$`, "m");
    if (existing.test(this.#text)) this.#text = this.#text.replace(existing, () => line);
    else this.append(comment === undefined ? line : `# ${comment}\n${line}`);
    return note;
  }

  append(text: string): void {
    this.#text += `${this.#text === "" || this.#text.endsWith("\n") ? "" : "\n"}${text}\n`;
  }

  /**
   * Writes it completely or not at all; it is never readable by others.
   *
   * @throws CommandError SECRETS_WRITE_FAILED
   */
  save(): void {
    const beside = `${this.path}.${process.pid}.tmp`;
    try {
      writeFileSync(beside, this.#text, { mode: READ_BY_ITS_OWNER });
      chmodSync(beside, READ_BY_ITS_OWNER);
      renameSync(beside, this.path);
    } catch (error) {
      rmSync(beside, { force: true });
      throw new CommandError(
        "SECRETS_WRITE_FAILED",
        `${this.path} can't be written: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
}

/**
 * Values that `docker run`, compose, systemd and Node read unchanged: without quotes around them,
 * and with nothing that one of them replaces or drops.
 */
const UNQUOTED = /^(?:[^\s'"`$#\\](?:[^$#\\\r\n]*[^\s$#\\])?)?$/;
const UNQUOTED_FOR_DOCKER = /^(?:[^\s'"`$#](?:[^$#\r\n]*[^\s$#])?)?$/;

interface Written {
  readonly text: string;
  readonly note: string | null;
}

/**
 * Writes a value so that the readers of such files agree: `docker run --env-file` reads quotes as
 * part of the value, compose replaces `$`, systemd drops `\`.
 *
 * @throws CommandError SECRETS_INVALID_VALUE
 */
function written(name: string, value: string, isForSystemd: boolean): Written {
  if (UNQUOTED.test(value)) return { text: value, note: null };
  if (/[\r\n]/.test(value)) {
    throw new CommandError(
      "SECRETS_INVALID_VALUE",
      "The value contains line breaks, which not every reader of such a file supports: write " +
        "them as \\n, which the server accepts in a private key.",
    );
  }
  if (!isForSystemd && UNQUOTED_FOR_DOCKER.test(value))
    return {
      text: value,
      note: `systemd would drop the backslashes in ${name}: there, put its value in '...'.`,
    };
  const note = isForSystemd
    ? null
    : `\`docker run --env-file\` treats the quotes around ${name} as part of its value; compose ` +
      `and systemd do not. A percent-encoded URL needs no quotes; otherwise pass it to \`docker ` +
      `run\` by -e ${name}.`;
  if (!value.includes("'")) return { text: `'${value}'`, note };
  if (/^[^"$`\\]*$/.test(value)) return { text: `"${value}"`, note };
  throw new CommandError(
    "SECRETS_INVALID_VALUE",
    "The value contains quotes together with other special characters, which the readers of " +
      "such files treat differently: percent-encode URLs, and choose another password.",
  );
}
