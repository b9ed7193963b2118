import { PylonClientError, type SyncEngine } from "@pylonsync/sync";
import { useCallback, useState, type ReactElement } from "react";
import { useEngine } from "../provider.tsx";
import type { AccountProofs } from "./account-calls.ts";
import type { AuthCallOptions } from "./calls.ts";
import { Form, PasswordField } from "./form.tsx";
import {
  linkAccount,
  listLinkedAccounts,
  unlinkAccount,
  type LinkedAccount,
} from "./linked-account-calls.ts";
import { useLoaded } from "./loaded.ts";
import { Loading } from "./loading.tsx";
import { useOAuthReturn } from "./oauth-return.ts";
import { keepsCookies, listProviders, toProviders } from "./provider-calls.ts";
import { ProviderLogo } from "./provider-logo.tsx";
import { Section } from "./section.tsx";
import { useSignInFlow } from "./sign-in-flow.ts";

interface LinkedAccountListProps extends AuthCallOptions {
  readonly proofs: AccountProofs;
  /** Reloads the proofs. */
  readonly refresh: () => void;
}

/**
 * Lists the connected OAuth accounts, with buttons to connect others. Renders nothing if the server
 * has no OAuth providers and the user has no OAuth account.
 */
export function LinkedAccountList({
  sync: given,
  proofs,
  refresh,
}: LinkedAccountListProps): ReactElement | null {
  const sync = useEngine(given);
  const { data, problem, after } = useLoaded(useCallback(() => load(sync), [sync]));
  if (data === null && problem === null) return <Loading title="Connected accounts" />;
  const accounts = data?.accounts ?? [];
  const others = data?.providers.filter(
    ({ name }) => !accounts.some(({ provider }) => provider === name),
  );
  if (data !== null && accounts.length === 0 && others?.length === 0) return null;
  // The server rejects removing the last sign-in method.
  const canUnlink =
    proofs.hasPassword || proofs.hasPasskey || proofs.hasEmailCode || accounts.length > 1;
  const unlink = (id: string): void =>
    after(async () => {
      await unlinkAccount(id, { sync });
      refresh();
    });
  return (
    <Section title="Connected accounts">
      <ul className="pylon-list">
        {accounts.map((account) => (
          <Account
            key={account.id}
            account={account}
            {...(canUnlink ? { onUnlink: () => unlink(account.id) } : {})}
          />
        ))}
      </ul>
      <p className="pylon-error" role="alert">
        {problem}
      </p>
      {(proofs.hasPassword || proofs.isFresh) && <LinkFailure sync={sync} />}
      <div className="pylon-connect">
        {others?.map(({ name, label }) => (
          <LinkButton key={name} sync={sync} name={name} label={label} />
        ))}
      </div>
    </Section>
  );
}

/**
 * Shows why connecting an account failed after the browser has returned. If the page also asks for
 * a new sign-in, that form shows the failure instead.
 */
function LinkFailure({ sync }: { readonly sync: SyncEngine }): ReactElement {
  const problem = useOAuthReturn(useSignInFlow({ sync }));
  return (
    <p className="pylon-error" role="alert">
      {problem}
    </p>
  );
}

async function load(sync: SyncEngine) {
  const [accounts, providers] = await Promise.all([
    listLinkedAccounts({ sync }),
    keepsCookies(sync) ? listProviders({ sync }) : [],
  ]);
  return { accounts, providers };
}

function Account({
  account: { provider, email },
  onUnlink,
}: {
  readonly account: LinkedAccount;
  /** Undefined if it is the user's only sign-in method. */
  readonly onUnlink?: () => void;
}): ReactElement {
  const label = toProviders([{ provider }])[0]?.label ?? provider;
  return (
    <li>
      <span className="pylon-named">
        <ProviderLogo name={provider} label={label} />
        <span>
          {label}
          {email !== null && <small>{email}</small>}
        </span>
      </span>
      {onUnlink !== undefined && (
        <button
          type="button"
          className="pylon-button pylon-plain"
          aria-label={`Disconnect ${label}`}
          onClick={onUnlink}
        >
          Disconnect
        </button>
      )}
    </li>
  );
}

/** Redirects to the provider; asks for the password first if the last sign-in is too old. */
function LinkButton({
  sync,
  name,
  label,
}: {
  readonly sync: SyncEngine;
  readonly name: string;
  readonly label: string;
}): ReactElement {
  const [asksPassword, setAsksPassword] = useState(false);
  const link = async ({ password }: Readonly<Record<string, string>>): Promise<void> => {
    const proof = password === undefined ? {} : { password };
    const here = location.href;
    try {
      location.assign(
        await linkAccount(name, { sync, callback: here, errorCallback: here, ...proof }),
      );
    } catch (error) {
      if (error instanceof PylonClientError && error.code === "FRESH_SIGN_IN_REQUIRED")
        setAsksPassword(true);
      throw error;
    }
  };
  return (
    <Form
      action={`Connect ${label}`}
      isPlain
      icon={<ProviderLogo name={name} label={label} />}
      onSend={link}
    >
      {asksPassword && <PasswordField />}
    </Form>
  );
}
