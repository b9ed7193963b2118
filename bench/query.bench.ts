// Fifty rows of a query without a suitable index, over HTTP, against the bare statement.
import { compareHttp, insertNotes } from "./lib/compare.ts";
import { rawRequest } from "./lib/load.ts";

const QUERY = { count: { $gt: 0 }, $order: { count: "desc" }, $limit: 50 };

await compareHttp({
  name: "query",
  pylon: async (token, url) => {
    await insertNotes(url, token);
    return rawRequest("POST", "/api/query/Note", { token, body: QUERY });
  },
  bare: async (url) => {
    await insertNotes(url);
    return rawRequest("POST", "/api/query/Note", { body: QUERY });
  },
});
