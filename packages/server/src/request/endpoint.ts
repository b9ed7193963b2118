import type { Identity } from "../identity/identity.ts";
import type { AnswerHeaders } from "./responses.ts";
import type { Transfers } from "./transfers.ts";

/** A request for an endpoint of the app. */
export interface EndpointCall {
  readonly request: Request;
  readonly identity: Identity;
  readonly address: () => string;
  readonly requestId: string;
  /** Counts the bytes of bodies that are being received, and the key of this one's sender. */
  readonly bodies: Transfers;
  readonly key: () => string;
}

/** Handles requests at a path that the app chose, instead of a route of the server. */
export interface Endpoint {
  /** Its name in metrics, traces and the log. */
  readonly name: string;
  /** The methods that it accepts, as in the hint of a rejection. */
  readonly methods: readonly string[];
  /** How callers are identified: not at all, by a bearer token only, or also by the cookie. */
  readonly signIn: "nothing" | "bearer" | "cookie";
  takes(method: string): boolean;
  /**
   * Returns the headers that tell a browser whether a page of this origin may read the response;
   * null: the same as for all routes.
   */
  corsHeaders(origin: string | null): AnswerHeaders | null;
  /** @throws PylonError */
  answer(call: EndpointCall): Promise<Response>;
}
