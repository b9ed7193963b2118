import { PylonClientError, type SyncEngine } from "@pylonsync/sync";
import { useState, type FormEvent, type ReactElement } from "react";
import { confirmSignUp, signInWithPassword, signOut, signUpWithPassword, verifySecondFactor } from "./auth.ts";
import { getEngine } from "./client.ts";
import { useSession } from "./session.ts";

export interface SignInProps {
  readonly sync?: SyncEngine;
  /** Called after the sign-in. */
  readonly onDone?: () => void;
}

/**
 * A form to sign in with a password, and the second factor where the user has one. It has no style of its own: its parts are of the
 * classes `pylon-form`, `pylon-field`, `pylon-button`, `pylon-error`, which `@pylonsync/react/styles.css` draws.
 */
export function SignIn({ sync = getEngine(), onDone }: SignInProps): ReactElement {
  const [mfaToken, setMfaToken] = useState<string | null>(null);
  const { error, isBusy, submit } = useSubmit();

  const byPassword = submit(async (values) => {
    try {
      await signInWithPassword(values["email"] ?? "", values["password"] ?? "", { sync });
      onDone?.();
    } catch (reason) {
      const token = reason instanceof PylonClientError && reason.code === "MFA_REQUIRED" ? reason.body["mfa_token"] : undefined;
      if (typeof token !== "string") throw reason;
      setMfaToken(token);
    }
  });
  const byFactor = submit(async (values) => {
    await verifySecondFactor(mfaToken ?? "", values["code"] ?? "", { sync, trustDevice: values["trust"] === "on" });
    onDone?.();
  });

  if (mfaToken !== null) {
    return (
      <form className="pylon-form" onSubmit={byFactor}>
        <Field label="Code of your authenticator app, or a backup code" name="code" autoComplete="one-time-code" />
        <label className="pylon-check">
          <input type="checkbox" name="trust" /> Do not ask again on this device
        </label>
        <Submit text="Go on" isBusy={isBusy} error={error} />
      </form>
    );
  }
  return (
    <form className="pylon-form" onSubmit={byPassword}>
      <Field label="E-mail" name="email" type="email" autoComplete="username" />
      <Field label="Password" name="password" type="password" autoComplete="current-password" />
      <Submit text="Sign in" isBusy={isBusy} error={error} />
    </form>
  );
}

/** A form to make an account, and for the code that is mailed. Classes as of `SignIn`. */
export function SignUp({ sync = getEngine(), onDone }: SignInProps): ReactElement {
  const [email, setEmail] = useState<string | null>(null);
  const { error, isBusy, submit } = useSubmit();

  const register = submit(async (values) => {
    const address = values["email"] ?? "";
    const result = await signUpWithPassword(address, values["password"] ?? "", { sync, ...(values["displayName"] ? { displayName: values["displayName"] } : {}) });
    if (result.verificationRequired) setEmail(address);
    else onDone?.();
  });
  const confirm = submit(async (values) => {
    await confirmSignUp(email ?? "", values["code"] ?? "", { sync });
    onDone?.();
  });

  if (email !== null) {
    return (
      <form className="pylon-form" onSubmit={confirm}>
        <p>We sent a code to {email}.</p>
        <Field label="Code" name="code" autoComplete="one-time-code" />
        <Submit text="Confirm" isBusy={isBusy} error={error} />
      </form>
    );
  }
  return (
    <form className="pylon-form" onSubmit={register}>
      <Field label="Name" name="displayName" autoComplete="name" isOptional />
      <Field label="E-mail" name="email" type="email" autoComplete="username" />
      <Field label="Password" name="password" type="password" autoComplete="new-password" />
      <Submit text="Make the account" isBusy={isBusy} error={error} />
    </form>
  );
}

/** Signs out; nothing where nobody is signed in. */
export function SignOutButton({ sync = getEngine(), onDone }: SignInProps): ReactElement | null {
  const { isAuthenticated } = useSession(sync);
  if (!isAuthenticated) return null;
  const leave = (): void => {
    signOut({ sync }).catch(() => undefined).finally(onDone);
  };
  return (
    <button type="button" className="pylon-button" onClick={leave}>
      Sign out
    </button>
  );
}

type Values = Readonly<Record<string, string>>;

/** What a form of ours does when it is sent: one request at a time, and the reason when it is refused. */
function useSubmit(): { error: string | null; isBusy: boolean; submit: (act: (values: Values) => Promise<void>) => (event: FormEvent<HTMLFormElement>) => void } {
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const submit = (act: (values: Values) => Promise<void>) => (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const values = Object.fromEntries([...new FormData(event.currentTarget)].map(([name, value]) => [name, String(value)]));
    setBusy(true);
    setError(null);
    act(values)
      .catch((reason: unknown) => setError(reason instanceof Error ? reason.message : "The server can't be reached."))
      .finally(() => setBusy(false));
  };
  return { error, isBusy, submit };
}

function Field({ label, isOptional = false, ...input }: { readonly label: string; readonly name: string; readonly type?: string; readonly autoComplete: string; readonly isOptional?: boolean }): ReactElement {
  return (
    <label className="pylon-field">
      <span>{label}</span>
      <input required={!isOptional} {...input} />
    </label>
  );
}

function Submit({ text, isBusy, error }: { readonly text: string; readonly isBusy: boolean; readonly error: string | null }): ReactElement {
  return (
    <>
      <p className="pylon-error" role="alert">
        {error}
      </p>
      <button className="pylon-button" disabled={isBusy}>
        {text}
      </button>
    </>
  );
}
