import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../request/context.ts";
import { toPublicError } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { ToolCalls, type ToolServices } from "./tool-calls.ts";
import type { AppTools } from "./tools.ts";

/** The services of the endpoint. */
export interface McpServices extends ToolServices {
  /** The tools of the current app. */
  readonly tools: () => AppTools | null;
  readonly app: () => { readonly name: string; readonly version: string };
  /** Whether pages of this origin may call; called with null if no page does. */
  readonly allowsOrigin: (origin: string | null, host: string | null) => boolean;
  /** OAuth for clients; null for an app without users. */
  readonly oauth: Required<Pick<Route, "tokens" | "challenge">> | null;
  /** Receives internal errors, which are hidden from the model. */
  readonly failed: (requestId: string, error: unknown) => void;
}

/**
 * The Model Context Protocol over HTTP, without sessions: each request is independent, so any
 * replica can handle it. If MCP is off, nothing of it is loaded.
 */
export function mcpRoutes(services: McpServices): Route[] {
  return [
    {
      method: "POST",
      path: "/mcp",
      body: "rows",
      access: "signed-in",
      // Each tool requires the scope of what it does.
      scope: "open",
      ...services.oauth,
      handle: (context) => answer(services, context),
    },
  ];
}

async function answer(services: McpServices, context: RequestContext): Promise<Response> {
  const tools = services.tools();
  if (tools === null)
    throw new PylonError("NOT_FOUND", "MCP is not enabled for this app.", {
      hint: "Add mcp({ ... }) from @pylonsync/sdk/plugins to its plugins.",
    });
  refuseOthers(services, context);
  const parsedBody = await context.json();
  // The protocol no longer has batches, and many calls would count as one request.
  if (Array.isArray(parsedBody))
    throw new PylonError("INVALID_DATA", "A request must be a single message, not a list.");
  const [{ Server }, { WebStandardStreamableHTTPServerTransport: Transport }, types] =
    await Promise.all([
      import("@modelcontextprotocol/sdk/server/index.js"),
      import("@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js"),
      import("@modelcontextprotocol/sdk/types.js"),
    ]);
  const server = new Server(services.app(), {
    capabilities: { tools: {} },
    ...(tools.instructions === "" ? {} : { instructions: tools.instructions }),
  });
  server.setRequestHandler(types.ListToolsRequestSchema, () => ({
    tools: [...tools.tools.values()].map(({ name, description, inputSchema, isReadOnly }) => ({
      name,
      description,
      inputSchema,
      annotations: { readOnlyHint: isReadOnly },
    })),
  }));
  const calls = new ToolCalls(services, context);
  server.setRequestHandler(types.CallToolRequestSchema, async ({ params }) => {
    const tool = tools.tools.get(params.name);
    if (tool === undefined)
      throw new types.McpError(types.ErrorCode.InvalidParams, "The tool does not exist.");
    try {
      return resultOf(await calls.call(tool, params.arguments ?? {}));
    } catch (error) {
      return refusalOf(error, context, services);
    }
  });
  const transport = new Transport({ enableJsonResponse: true });
  await server.connect(transport);
  try {
    return await transport.handleRequest(context.request, { parsedBody });
  } finally {
    await server.close();
  }
}

/**
 * A model acts for a user, and must send that user's token itself: a browser's cookie is not
 * accepted, and neither is the admin token, to which no policy applies.
 *
 * @throws PylonError ORIGIN_REJECTED, AUTH_REQUIRED, FORBIDDEN
 */
function refuseOthers(
  { allowsOrigin }: Pick<McpServices, "allowsOrigin">,
  { request: { headers }, caller }: RequestContext,
): void {
  // A page that a user visits must not reach a server on that user's machine or network.
  if (!allowsOrigin(headers.get("origin"), headers.get("host")))
    throw new PylonError("ORIGIN_REJECTED", "Pages of this site may not call this server.", {
      hint: "Add the origin to PYLON_CORS_ORIGIN.",
    });
  if (!headers.has("authorization"))
    throw new PylonError("AUTH_REQUIRED", "An access token is required.", {
      hint: "Connect by OAuth, or send Authorization: Bearer with a session token or an API key.",
    });
  if (caller.isAdmin)
    throw new PylonError(
      "FORBIDDEN",
      "The admin token is not allowed here, because no policy would apply.",
      {
        hint: "Use the session token or an API key of a user.",
      },
    );
}

interface ToolResult {
  readonly [key: string]: unknown;
  readonly content: { type: "text"; text: string }[];
  readonly isError?: boolean;
}

function resultOf(value: unknown): ToolResult {
  return { content: [{ type: "text", text: JSON.stringify(value ?? null) }] };
}

/** A rejection is a result: the model reads it and tries something else. */
function refusalOf(
  error: unknown,
  { requestId }: RequestContext,
  { failed }: Pick<McpServices, "failed">,
): ToolResult {
  const shown = toPublicError(error);
  if (shown === undefined) failed(requestId, error);
  const body = shown?.toBody() ?? {
    error: { code: "INTERNAL", message: "An internal error occurred.", request_id: requestId },
  };
  return { content: [{ type: "text", text: JSON.stringify(body) }], isError: true };
}
