import { existsSync } from "node:fs";
import { ServerLock } from "@pylonsync/server";
import { CommandError } from "../output.ts";
import { applyOwnership, makeFolderOf, ownershipOf } from "./ownership.ts";

/**
 * Locks a SQLite database against servers until the result is disposed.
 *
 * @param code the code of the error
 * @throws CommandError if a server is using it
 */
export async function takeDatabase(path: string, code: string): Promise<Disposable> {
  await makeFolderOf(path);
  const owner = { ...(await ownershipOf(path)), mode: null };
  const isThere = existsSync(`${path}-server`);
  const lock = await ServerLock.take(path, 0, () => undefined);
  if (lock === null) throw new CommandError(code, `A server is using ${path}: stop it first.`);
  if (!isThere) await applyOwnership(`${path}-server`, owner);
  return lock;
}
