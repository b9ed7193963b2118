import { ANONYMOUS_IDENTITY, type Identity } from "../identity/identity.ts";
import { callerKey } from "../request/caller-key.ts";
import type { RequestContext } from "../request/context.ts";
import type { Peer } from "./caller-identity.ts";

/** How a request is counted, logged and protected. */
export interface RequestKind {
  /** Its label in metrics, traces and the log. */
  readonly name: string;
  /** Is not logged, not in the metrics, and counts against no limit. */
  readonly isQuiet?: boolean;
  /** Counts against no limit. */
  readonly isFree?: boolean;
  /** A page of another site may send it, also in dev mode. */
  readonly acceptsCrossOriginForms?: boolean;
  /** The request can't be repeated: its response is not rejected for lack of room. */
  readonly isOnce?: boolean;
}

/** A request from its arrival until its response is created. */
export class Exchange implements Disposable {
  readonly kind: RequestKind;
  readonly request: Request;
  readonly requestId: string;
  readonly address: Peer;
  /** The caller, once it is identified. */
  identity: Identity = ANONYMOUS_IDENTITY;
  /** Whether the request says who the caller is; if not, anybody may have sent it. */
  isIdentified = false;
  /** The context of its route, if it has one. */
  context: RequestContext | null = null;

  constructor(kind: RequestKind, request: Request, requestId: string, address: Peer) {
    this.kind = kind;
    this.request = request;
    this.requestId = requestId;
    this.address = address;
  }

  /** The name of its route, as in metrics. */
  get name(): string {
    return this.kind.name;
  }

  /** The key by which what the caller uses is counted. */
  readonly key = (): string => callerKey(this.identity.caller, this.address);

  /** Releases the body. */
  [Symbol.dispose](): void {
    this.context?.[Symbol.dispose]();
  }
}
