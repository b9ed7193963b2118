// The cost of a call of a function: one that does nothing against a bare route that does as little,
// and one that reads a thousand rows by their ids against the bare statements.
import { compareHttp, insertNote } from "./lib/compare.ts";
import { rawRequest } from "./lib/load.ts";

await compareHttp({
  name: "function",
  pylon: async (token) => rawRequest("POST", "/api/fn/nothing", { token, body: {} }),
  bare: async () => rawRequest("POST", "/nothing", { body: {} }),
});

await compareHttp({
  name: "function-1000-gets",
  pylon: async (token, url) => {
    const id = (await insertNote(url, token)).split("/").at(-1);
    return rawRequest("POST", "/api/fn/getMany", { token, body: { id } });
  },
  bare: async (url) => {
    const id = (await insertNote(url)).split("/").at(-1);
    return rawRequest("POST", "/many", { body: { id } });
  },
});
