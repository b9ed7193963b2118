import { useState, type ReactElement } from "react";
import { sendCode, signInWithCode } from "./calls.ts";
import { CodeField, EmailField, Form, Note } from "./form.tsx";
import type { SignInFlow } from "./sign-in-flow.ts";

/** Props of the forms that email a code or a link. */
export interface MailFormProps {
  readonly flow: SignInFlow;
  /** The address entered so far. */
  readonly email: string;
  readonly onEmail: (email: string) => void;
}

/** Emails a code, and signs in with it. A new address creates a user. */
export function CodeForm({ flow: { sync, run }, email, onEmail }: MailFormProps): ReactElement {
  const [sentTo, setSentTo] = useState<string | null>(null);
  if (sentTo === null) {
    const send = async (address: string): Promise<void> => {
      await sendCode(address, { sync });
      setSentTo(address);
    };
    return (
      <Form action="Send me a code" onSend={({ email: address = "" }) => send(address)}>
        <EmailField defaultValue={email} onValue={onEmail} isFirst />
      </Form>
    );
  }
  return (
    <Form
      key="code"
      action="Sign in"
      onSend={({ code = "" }) => run(() => signInWithCode(sentTo, code, { sync }))}
    >
      <Note>We sent a code to {sentTo}.</Note>
      <CodeField />
    </Form>
  );
}
