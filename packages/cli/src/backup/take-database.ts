import { existsSync } from "node:fs";
import { ServerLock } from "@pylonsync/server";
import { CommandError } from "../output.ts";
import { handOver, makeFolderOf, ownershipOf } from "./ownership.ts";

/**
 * Keeps servers away from a SQLite database until it is let go.
 *
 * @param code of the error
 * @throws CommandError when a server has it
 */
export async function takeDatabase(path: string, code: string): Promise<Disposable> {
  await makeFolderOf(path);
  const owner = { ...(await ownershipOf(path)), mode: null };
  const isThere = existsSync(`${path}-server`);
  const lock = await ServerLock.take(path, 0, () => undefined);
  if (lock === null) throw new CommandError(code, `A server is using ${path}: stop it first.`);
  if (!isThere) await handOver(`${path}-server`, owner);
  return lock;
}
