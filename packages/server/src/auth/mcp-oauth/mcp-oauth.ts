import type { Route, RouteTokens } from "../../request/route.ts";
import type { AuthServices } from "../auth-services.ts";
import { authorizeRoutes } from "./authorize-routes.ts";
import { McpClients } from "./clients.ts";
import { McpGrants } from "./grants.ts";
import { challengeOf, tokenRoutes } from "./token-routes.ts";

/** OAuth for MCP clients, as the MCP specification's section on authorization requires. */
export interface McpOAuth {
  readonly routes: readonly Route[];
  /** The access tokens, which only `/mcp` accepts. */
  readonly tokens: RouteTokens;
  readonly challenge: (request: Request, isInvalid: boolean) => string;
  /** Deletes expired clients and grants. */
  forgetExpired(): Promise<void>;
}

/** Creates the routes and tokens with which users give MCP clients access. */
export function createMcpOAuth(services: AuthServices): McpOAuth {
  const { platform, store } = services;
  const clients = new McpClients(store, platform);
  const { origins } = services.settings;
  const grants = new McpGrants({ ...services, clients, origins });
  const own = { ...services, clients, grants };
  return {
    routes: [...authorizeRoutes(own), ...tokenRoutes(own)],
    tokens: grants,
    challenge: (request, isInvalid) => challengeOf(own, request, isInvalid),
    async forgetExpired() {
      await clients.forgetExpired();
      await grants.forgetExpired();
    },
  };
}
