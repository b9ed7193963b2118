// A mutation function that inserts a row: validated arguments, a transaction, durable, against the
// bare insert.
import { compareHttp, NOTE } from "./lib/compare.ts";
import { rawRequest } from "./lib/load.ts";

await compareHttp({
  name: "mutation",
  pylon: async (token) => rawRequest("POST", "/api/fn/addNote", { token, body: NOTE }),
  bare: async () => rawRequest("POST", "/api/entities/Note", { body: NOTE }),
});
