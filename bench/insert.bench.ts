// Inserts over HTTP: authorised, checked, logged and durable before the response, against a bare
// insert with none of these.
import { compareHttp, NOTE } from "./lib/compare.ts";
import { rawRequest } from "./lib/load.ts";

await compareHttp({
  name: "insert",
  pylon: async (token) => rawRequest("POST", "/api/entities/Note", { token, body: NOTE }),
  bare: async () => rawRequest("POST", "/api/entities/Note", { body: NOTE }),
});
