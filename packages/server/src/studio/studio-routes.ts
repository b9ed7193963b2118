import { PylonError } from "@pylonsync/protocol";
import type { AppProblems } from "../app/app-problem.ts";
import type { CompiledApp } from "../app/compile-app.ts";
import { problemPage, STUDIO_VERSION } from "../app/problem-page.ts";
import { devScriptTag } from "../app/dev-reload.ts";
import { WebAsset } from "../app/web-asset.ts";
import type { RequestContext } from "../request/context.ts";
import { isLoopback } from "../util/network.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import type { StudioAccess } from "./studio-access.ts";

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** What Studio's page needs of the server. */
export interface StudioOptions {
  readonly hasMailbox: boolean;
  /** In dev mode: the app, whose errors the page shows; otherwise null. */
  readonly app: { readonly current: CompiledApp; readonly problems: AppProblems } | null;
}

/**
 * Returns the routes of Studio: its page, which contains no data, and in dev mode the session with
 * which it reads and writes. All data comes from the routes for admins.
 */
export function studioRoutes(
  { isServed, devToken }: StudioAccess,
  { hasMailbox, app }: StudioOptions,
): Route[] {
  if (!isServed) return [];
  const session = (context: RequestContext): Answer => {
    if (devToken !== null) checkOwnPage(context);
    return json({ token: devToken, has_mailbox: hasMailbox });
  };
  return [
    index(app),
    page("/studio/studio.js", "studio.js"),
    page("/studio/studio.css", "studio.css"),
    {
      method: "POST",
      path: "/studio/session",
      access: devToken === null ? "anyone" : "admin-or-dev",
      body: "none",
      quiet: true,
      handle: session,
    },
  ];
}

/** Headers of a proxy or a tunnel in front, which may bring requests from anywhere. */
const FORWARDED =
  /^(forwarded|via|x-forwarded(-.+)?|x-original-.+|.*-real-ip|.*-client-ip|.*-connecting-ip)$/;

/**
 * The token is for Studio's own page in a browser of this machine. A page on another port of it is
 * the same site, and dev mode accepts its requests, but it may not become the admin.
 *
 * @throws PylonError FORBIDDEN
 */
function checkOwnPage({ address, request: { headers } }: RequestContext): void {
  const host = headers.get("host");
  const page = URL.parse(headers.get("origin") ?? "");
  const isOwn = page !== null && page.host === host && LOCAL_NAME.test(page.hostname);
  if (isOwn && isLoopback(address) && ![...headers.keys()].some((name) => FORWARDED.test(name)))
    return;
  throw new PylonError("FORBIDDEN", "Only Studio's page on this machine gets a token.", {
    hint: "Enter the admin token of this server, the value of PYLON_ADMIN_TOKEN.",
  });
}

/** The names of this machine for itself; a tunnel has another one. */
const LOCAL_NAME = /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/;

/** Serves the page, or in dev mode the errors because of which the saved app is not served. */
function index(app: StudioOptions["app"]): Route {
  if (app === null) return page("/studio", "index.html");
  const kind = { kind: "studio", version: STUDIO_VERSION } as const;
  const { handle, ...route } = page("/studio", DEV_INDEX);
  return {
    ...route,
    handle: (context) =>
      problemPage(context.request, app.current, app.problems, kind) ?? handle(context),
  };
}

/** Serves a file of the page. */
function page(path: string, name: string): Route {
  return {
    method: "GET",
    path,
    access: "anyone",
    quiet: true,
    handle: async ({ request }) => {
      const response = await (await assets()).get(name)?.answer(request);
      if (response === undefined) throw new Error(`Studio has no file ${name}.`);
      response.headers.set("Content-Security-Policy", POLICY);
      // A page of another site that opens Studio in a window can't keep a handle on it.
      response.headers.set("Cross-Origin-Opener-Policy", "same-origin");
      return response;
    },
  };
}

/** The name of the page with the script that reloads it in dev mode. */
const DEV_INDEX = "index.dev.html";

let loaded: Promise<ReadonlyMap<string, WebAsset>> | undefined;

/** Loads the page from its package at the first request. */
function assets(): Promise<ReadonlyMap<string, WebAsset>> {
  loaded ??= loadAssets();
  return loaded;
}

async function loadAssets(): Promise<ReadonlyMap<string, WebAsset>> {
  const { studioFiles } = await import("@pylonsync/studio");
  const served = new Map(await studioFiles());
  const index = served.get("index.html");
  if (index !== undefined) {
    const script = devScriptTag("studio", STUDIO_VERSION);
    const text = index.text.replace("</head>", () => `${script}</head>`);
    served.set(DEV_INDEX, { ...index, text });
  }
  const files = [...served].map(([name, { type, text }]) => {
    const version = Bun.hash(text).toString(36);
    const options = {
      type: `${type};charset=utf-8`,
      immutable: false,
      version,
      compresses: true,
    };
    return [name, new WebAsset(new Blob([text]), options)] as const;
  });
  return new Map(files);
}
