import type { Identity } from "../identity/identity.ts";
import type { AnswerHeaders } from "./responses.ts";
import type { Transfers } from "./transfers.ts";

/** A request for an endpoint of the app. */
export interface EndpointCall {
  readonly request: Request;
  readonly identity: Identity;
  readonly address: () => string;
  readonly requestId: string;
  /** What counts bodies on their way in, and whose this one is. */
  readonly bodies: Transfers;
  readonly key: () => string;
}

/** What answers requests at a path that the app chose, instead of a route of the server. */
export interface Endpoint {
  /** In metrics, traces and the log. */
  readonly name: string;
  /** What it takes, as in the hint of a refusal. */
  readonly methods: readonly string[];
  /** What signs a caller in: nothing, a bearer token alone, or the session's cookie too. */
  readonly signIn: "nothing" | "bearer" | "cookie";
  takes(method: string): boolean;
  /**
   * What tells a browser whether a page of this origin may read the answer; null: the same as for
   * all routes.
   */
  corsHeaders(origin: string | null): AnswerHeaders | null;
  /** @throws PylonError */
  answer(call: EndpointCall): Promise<Response>;
}
