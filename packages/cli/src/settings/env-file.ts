import { chmodSync, existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { CommandError } from "../output.ts";

const READ_BY_ITS_OWNER = 0o600;

/** A file of variables, such as `.env.production`, that only its owner may read. */
export class EnvFile {
  readonly path: string;
  #text: string;

  /** A file that is not there is an empty one. */
  constructor(path: string) {
    this.path = path;
    this.#text = existsSync(path) && statSync(path).isFile() ? readFileSync(path, "utf8") : "";
  }

  get values(): Readonly<Record<string, string | undefined>> {
    return parseEnv(this.#text);
  }

  /** Whether the variable has a value; an empty one is none. */
  has(name: string): boolean {
    return (this.values[name] ?? "") !== "";
  }

  /** Gives a variable its value, in the place that it has, or at the end. @param comment stands above a new one */
  set(name: string, value: string, comment?: string): void {
    const line = `${name}=${quoted(value)}`;
    const existing = new RegExp(`^[ \\t]*(?:export[ \\t]+)?${name}[ \\t]*=.*$`, "m");
    if (existing.test(this.#text)) this.#text = this.#text.replace(existing, () => line);
    else this.append(comment === undefined ? line : `# ${comment}\n${line}`);
  }

  append(text: string): void {
    this.#text += `${this.#text === "" || this.#text.endsWith("\n") ? "" : "\n"}${text}\n`;
  }

  /**
   * Writes it whole or not at all; nobody else may read it, not for a moment.
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
      throw new CommandError("SECRETS_WRITE_FAILED", `${this.path} can't be written: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/**
 * As the readers of such files agree on it: what is more than plain characters stands in quotes, in which `$` means itself.
 *
 * @throws CommandError SECRETS_INVALID_VALUE for what no quotes can hold everywhere
 */
function quoted(value: string): string {
  if (/^[\w./:@%+,=?&~-]*$/.test(value)) return value;
  if (/^[^'\r\n]*$/.test(value)) return `'${value}'`;
  if (/^[^"$`\\\r\n]*$/.test(value)) return `"${value}"`;
  throw new CommandError("SECRETS_INVALID_VALUE", "The value has line ends, or quotes beside other special characters, which the readers of such files disagree about: write line ends as \\n, and encode URLs by percent.");
}
