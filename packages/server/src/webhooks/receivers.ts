import type { Manifest } from "@pylonsync/sdk";
import { endpointsOf } from "@pylonsync/sdk/plugins";
import { resolvePlugins } from "../plugins/plugin-config.ts";
import { PylonStartError } from "../start-error.ts";
import { keyOf } from "./signature.ts";

/** An endpoint whose variables are resolved. */
export interface Receiver {
  readonly url: string;
  readonly keys: readonly Buffer[];
}

/**
 * Returns the endpoints of an app, by their names.
 *
 * @throws PylonStartError for a variable that is not set, an invalid URL or an invalid secret
 */
export function receiversOf(
  { plugins = [] }: Pick<Manifest, "plugins">,
  {
    env,
    dev,
  }: { readonly env: Readonly<Record<string, string | undefined>>; readonly dev: boolean },
): ReadonlyMap<string, Receiver> {
  const config = resolvePlugins(
    plugins.filter(({ name }) => name === "webhooks"),
    env,
  ).get("webhooks");
  return new Map(
    endpointsOf(config).map(({ name, url, secrets }) => {
      checkUrl(name, url, dev);
      return [name, { url, keys: secrets.map((secret) => keyIn(name, secret)) }];
    }),
  );
}

function checkUrl(name: string, url: string, dev: boolean): void {
  const parsed = URL.parse(url);
  const isHttp = parsed?.protocol === "https:" || (dev && parsed?.protocol === "http:");
  if (isHttp && parsed.username === "" && parsed.password === "") return;
  throw new PylonStartError(
    `The url of the webhook endpoint "${name}" must be an https URL without a password in it.`,
  );
}

/** @throws PylonStartError, which does not contain the secret */
function keyIn(name: string, secret: string): Buffer {
  const key = keyOf(secret);
  if (key !== null) return key;
  throw new PylonStartError(
    `A secret of the webhook endpoint "${name}" must be whsec_ and 24 to 64 bytes in base64: ` +
      'generate one with echo "whsec_$(openssl rand -base64 32)".',
  );
}
