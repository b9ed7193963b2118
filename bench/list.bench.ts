// A page of fifty rows over HTTP, with the session and the read policy, against the bare statement.
import { compareHttp, insertNotes } from "./lib/compare.ts";
import { rawRequest } from "./lib/load.ts";

const LIST = "/api/entities/Note?limit=50";

await compareHttp({
  name: "list",
  pylon: async (token, url) => {
    await insertNotes(url, token);
    return rawRequest("GET", LIST, { token });
  },
  bare: async (url) => {
    await insertNotes(url);
    return rawRequest("GET", LIST);
  },
});
