import { useState, type ReactElement } from "react";
import { useEngine } from "../provider.tsx";
import { requestPasswordReset, type AuthCallOptions } from "./calls.ts";
import { EmailField, Form, Note } from "./form.tsx";

/** Props of `ForgotPassword`. */
export interface ForgotPasswordProps extends AuthCallOptions {
  /** What was typed elsewhere. */
  readonly email?: string;
  /** Your page with `ResetPassword`, that the mail leads to; by default the server's own. */
  readonly resetUrl?: string;
}

/**
 * A form that mails a link to choose a new password. Its answer does not tell whether there is such
 * an account.
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
  if (sentTo !== null) return <Note>If {sentTo} has an account, a link is on its way.</Note>;
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
