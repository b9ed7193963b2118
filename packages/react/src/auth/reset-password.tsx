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
 * A form that sets a new password with the token of a mailed link, which the page's address holds.
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
    // The secret is not left where the history shows it.
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
          <Note>Your password is changed.</Note>
        ) : (
          <p className="pylon-error" role="alert">
            This link is not complete. Open it from the mail again.
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
