import { useEffect, useState, type ReactElement } from "react";
import { useEngine } from "../provider.tsx";
import { safePath } from "../safe-path.ts";
import { keepsCookies, listProviders, providerUrl, type SignInProvider } from "./provider-calls.ts";
import { ProviderLogo } from "./provider-logo.tsx";
import type { SignInProps } from "./sign-in-flow.ts";

/** Props of `ProviderButtons`. */
export interface ProviderButtonsProps extends Pick<SignInProps, "sync" | "redirectTo"> {
  /** The providers, if a server has already loaded them; otherwise they are loaded. */
  readonly providers?: readonly SignInProvider[] | undefined;
}

/**
 * Shows a button for each OAuth provider of the server; renders nothing if there are none.
 *
 * @example
 * <ProviderButtons redirectTo="/notes" />;
 */
export function ProviderButtons({
  sync: given,
  redirectTo,
  providers: rendered,
}: ProviderButtonsProps): ReactElement | null {
  const sync = useEngine(given);
  const [providers, setProviders] = useState(rendered ?? []);
  useEffect(() => {
    if (rendered !== undefined || !keepsCookies(sync)) return undefined;
    let isGone = false;
    // If the list can't be loaded, the other sign-in methods remain available.
    listProviders({ sync }).then(
      (found) => isGone || setProviders(found),
      () => undefined,
    );
    return () => {
      isGone = true;
    };
  }, [sync, rendered]);
  if (providers.length === 0) return null;

  const go = (name: string): void => {
    const here = new URL(location.href);
    here.hash = "";
    const callback =
      redirectTo === undefined ? here.href : new URL(safePath(redirectTo), here).href;
    location.assign(providerUrl(name, { sync, callback, errorCallback: here.href }));
  };
  return (
    <div className="pylon-providers">
      {providers.map(({ name, label }) => (
        <button
          key={name}
          type="button"
          className="pylon-button pylon-plain"
          data-provider={name}
          onClick={() => go(name)}
        >
          <ProviderLogo name={name} label={label} />
          Continue with {label}
        </button>
      ))}
    </div>
  );
}
