import type { FnStorage } from "@pylonsync/functions";

const refuse = (): Promise<never> => Promise.reject(new Error("No file is expected here."));

/** `ctx.storage` where no test has to do with files. */
export function noStorage(): FnStorage {
  return {
    write: refuse,
    info: refuse,
    read: refuse,
    sign: refuse,
    signUpload: refuse,
    complete: refuse,
    delete: refuse,
  };
}
