import { useState, type ReactElement } from "react";
import { sendLink } from "./calls.ts";
import type { MailFormProps } from "./code-form.tsx";
import { EmailField, Form, Note } from "./form.tsx";

/**
 * Emails a link that signs in the browser that opens it. @param callback where the link redirects
 * to
 */
export function LinkForm({
  flow: { sync },
  email,
  onEmail,
  callback,
}: MailFormProps & { readonly callback: () => string }): ReactElement {
  const [sentTo, setSentTo] = useState<string | null>(null);
  if (sentTo !== null) return <Note>We sent a link to {sentTo}. Open it in this browser.</Note>;
  const send = async (address: string): Promise<void> => {
    await sendLink(address, { sync, callback: callback() });
    setSentTo(address);
  };
  return (
    <Form action="Send me a link" onSend={({ email: address = "" }) => send(address)}>
      <EmailField defaultValue={email} onValue={onEmail} isFirst />
    </Form>
  );
}
