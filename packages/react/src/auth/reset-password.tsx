import { useEffect, useState, type ReactElement } from "react";
import { useEngine } from "../provider.tsx";
import { resetPassword, type AuthCallOptions } from "./calls.ts";
import { Form, Note, PasswordField } from "./form.tsx";

/** Props of `ResetPassword`. */
export interface ResetPasswordProps extends AuthCallOptions {
  /** The page with `SignIn`. */
  readonly signInUrl?: string;
}

/**
 * A form that sets a new password, with the token of an emailed link from the page's URL.
 *
 * @example
 * <ResetPassword signInUrl="/sign-in" />;
 */
export function ResetPassword({ sync: given, signInUrl }: ResetPasswordProps): ReactElement | null {
  const sync = useEngine(given);
  const [token, setToken] = useState<string | null>(null);
  const [isDone, setDone] = useState(false);
  useEffect(() => {
    const given = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
    // Remove the secret from the URL, so that it does not stay in the history.
    if (given !== "") history.replaceState(history.state, "", location.pathname + location.search);
    setToken((known) => known ?? given);
  }, []);

  if (token === null) return null;
  const link = signInUrl !== undefined && (
    <nav className="pylon-links">
      <a className="pylon-link" href={signInUrl}>
        Sign in
      </a>
    </nav>
  );
  if (isDone || token === "") {
    return (
      <div className="pylon-auth">
        {isDone ? (
          <Note>Your password was changed.</Note>
        ) : (
          <p className="pylon-error" role="alert">
            This link is incomplete. Open it from the email again.
          </p>
        )}
        {link}
      </div>
    );
  }
  const change = async (password: string): Promise<void> => {
    await resetPassword(token, password, { sync });
    setDone(true);
  };
  return (
    <Form action="Change the password" onSend={({ password = "" }) => change(password)}>
      <PasswordField label="New password" isNew isFirst />
    </Form>
  );
}
