import { useState, type ReactElement } from "react";
import { useEngine } from "../provider.tsx";
import { requestPasswordReset, type AuthCallOptions } from "./calls.ts";
import { EmailField, Form, Note } from "./form.tsx";

/** Props of `ForgotPassword`. */
export interface ForgotPasswordProps extends AuthCallOptions {
  /** The initial email address. */
  readonly email?: string;
  /** Your page with `ResetPassword`, to which the email links; default: the server's page. */
  readonly resetUrl?: string;
}

/**
 * A form that emails a link to choose a new password. It does not reveal whether the account
 * exists.
 *
 * @example
 * <ForgotPassword resetUrl="/reset-password" />;
 */
export function ForgotPassword({
  sync: given,
  email,
  resetUrl,
}: ForgotPasswordProps): ReactElement {
  const sync = useEngine(given);
  const [sentTo, setSentTo] = useState<string | null>(null);
  if (sentTo !== null) return <Note>If {sentTo} has an account, we sent a link to it.</Note>;
  const send = async (address: string): Promise<void> => {
    await requestPasswordReset(address, {
      sync,
      ...(resetUrl === undefined ? {} : { callback: new URL(resetUrl, location.href).href }),
    });
    setSentTo(address);
  };
  return (
    <Form action="Send me a link" onSend={({ email: address = "" }) => send(address)}>
      <EmailField isFirst {...(email === undefined ? {} : { defaultValue: email })} />
    </Form>
  );
}
