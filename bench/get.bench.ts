// Reading one row by its id over HTTP, with the session and the read policy, against the bare
// statement.
import { compareHttp, insertNote } from "./lib/compare.ts";
import { rawRequest } from "./lib/load.ts";

await compareHttp({
  name: "get",
  pylon: async (token, url) => rawRequest("GET", await insertNote(url, token), { token }),
  bare: async (url) => rawRequest("GET", await insertNote(url)),
});
