import type { HttpClient } from "../connection/http.ts";

/**
 * Returns the path of a function's calls, which names the user who calls it now: the request may be
 * sent, or sent again, when another user has signed in.
 */
export function functionPath({ author }: Pick<HttpClient, "author">, name: string): string {
  return author.named(`/api/fn/${encodeURIComponent(name)}`);
}
