import { LiveOpenSchema, LiveSendSchema, PylonError } from "@pylonsync/protocol";
import * as v from "valibot";
import type { RequestContext } from "../../request/context.ts";
import { encodedJson, json, type Answer } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import type { HttpConnections } from "./http-connections.ts";

/** Connections of version 2 for clients that can't open a socket. */
export function liveRoutes(connections: HttpConnections): Route[] {
  const open = async (context: RequestContext): Promise<Answer> => {
    const { transport, messages = [] } = parsed(LiveOpenSchema, await context.json());
    const { identity, address } = context;
    if (transport === "sse") return connections.openStream(identity, address, messages);
    const { id, polls } = await connections.openPolls(identity, address, messages);
    return pollAnswer(polls?.take() ?? [], id);
  };
  const say = async (context: RequestContext): Promise<Answer> => {
    const { messages, wait = false } = parsed(LiveSendSchema, await context.json());
    const connection = connections.find(context.param("id"), context.identity);
    connections.say(connection, messages);
    if (!wait) return json({});
    if (connection.polls === null)
      throw new PylonError(
        "INVALID_DATA",
        "The messages of this connection are sent as a stream.",
        {
          field: "wait",
          hint: "Omit it.",
        },
      );
    return pollAnswer(await connection.polls.poll());
  };
  const common = { method: "POST", access: "anyone", scope: "read", body: "query" } as const;
  return [
    { ...common, path: "/api/live", handle: open },
    { ...common, path: "/api/live/:id", handle: say },
  ];
}

/** The messages are JSON already. */
function pollAnswer(texts: readonly string[], id?: string): Answer {
  const name = id === undefined ? "" : `"id":${JSON.stringify(id)},`;
  return encodedJson(`{${name}"messages":[${texts.join(",")}]}`);
}

/** @throws PylonError INVALID_DATA */
function parsed<S extends v.GenericSchema>(schema: S, body: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, body);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const field = v.getDotPath(issue);
  throw new PylonError("INVALID_DATA", `The body is not valid: ${issue.message}.`, {
    ...(field === null ? {} : { field }),
    hint: "See docs/sync.md for the messages of a live connection.",
  });
}
