import { MAX_PAGE_SIZE, PylonError } from "@pylonsync/protocol";
import type { DataServices } from "../data/routes.ts";
import type { RequestContext } from "../request/context.ts";
import { json, StreamAnswer, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { Puller } from "./pull.ts";
import { parsePush, push } from "./push.ts";

/** Called with the results of pulls and pushes. */
export interface SyncObserver {
  pull(outcome: "snapshot" | "changes" | "resync"): void;
  pushed(outcome: "applied" | "deduped" | "refused"): void;
}

/** `pull` and `push`. The live half is in websocket.ts and sse.ts. */
export function syncRoutes(services: DataServices, observer: SyncObserver): Route[] {
  const pull = async (context: RequestContext): Promise<Answer> => {
    const { store, model, platform, reader } = services;
    const puller = new Puller(store, reader(context), model(), platform.now);
    const limit = context.query("limit");
    const request = {
      since: cursorOf(context),
      epoch: context.query("epoch"),
      limit: limit === null ? MAX_PAGE_SIZE : limitOf(limit),
      page: context.query("page"),
    };
    try {
      const answer =
        limit === null && request.since === 0
          ? await puller.wholeSnapshot(request, context.caller)
          : await puller.pull(request, context.identity);
      observer.pull(request.since === 0 ? "snapshot" : "changes");
      return Symbol.asyncIterator in answer ? new StreamAnswer(answer) : json(answer);
    } catch (error) {
      if (error instanceof PylonError && error.code === "RESYNC_REQUIRED") observer.pull("resync");
      throw error;
    }
  };

  const handlePush = async (context: RequestContext): Promise<Answer> => {
    const request = parsePush(await context.json());
    return json(
      await push(
        request,
        context.caller,
        { ...services, reader: services.reader(context) },
        (outcome) => observer.pushed(outcome),
      ),
    );
  };

  return [
    { method: "GET", path: "/api/sync/pull", access: "anyone", scope: "read", handle: pull },
    {
      method: "POST",
      path: "/api/sync/push",
      body: "rows",
      access: "anyone",
      scope: "write",
      handle: handlePush,
    },
  ];
}

/**
 * The public client's SSR helper asks for limit=0 and means the cursor only; 0 rows are one page of
 * none.
 */
function limitOf(text: string): number {
  if (/^\d{1,16}$/.test(text)) return Math.min(Number(text), MAX_PAGE_SIZE);
  throw new PylonError("INVALID_QUERY", '"limit" must be a whole number of at least 0.', {
    field: "limit",
    hint: "Omit it to get the whole snapshot in one response.",
  });
}

/** As the public client expects it, a cursor that is not a number means the beginning. */
function cursorOf(context: RequestContext): number {
  const since = Number(context.query("since") ?? 0);
  if (!Number.isSafeInteger(since) || since < 0) return 0;
  if (since > Number.MAX_SAFE_INTEGER)
    throw new PylonError("INVALID_QUERY", "The cursor is too large.", { field: "since" });
  return since;
}
