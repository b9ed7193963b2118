import { isPushResponse } from "@pylonsync/protocol";
import { parseAnswer } from "../connection/answer.ts";
import type { HttpClient } from "../connection/http.ts";

/** Returns the server's newest change, which an empty push returns. @throws PylonClientError */
export async function logHead(http: Pick<HttpClient, "request">): Promise<number> {
  const answer = await http.request("POST", "/api/sync/push", { changes: [] });
  return parseAnswer(isPushResponse, answer).cursor.last_seq;
}
