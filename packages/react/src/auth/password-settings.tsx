import { useState, type ReactElement } from "react";
import { useEngine } from "../provider.tsx";
import { changePassword, type AccountProofs } from "./account-calls.ts";
import type { AuthCallOptions } from "./calls.ts";
import { Form, HiddenUsername, Note, PasswordField } from "./form.tsx";

interface PasswordSettingsProps extends AuthCallOptions {
  /** The account, for password managers. */
  readonly email: string;
  readonly proofs: AccountProofs;
  /**
   * The number of changes on this page. Passed as a prop, because a new token remounts this
   * component.
   */
  readonly changes: number;
  /** Called after the password was changed. */
  readonly onChange: () => void;
}

/** Changes the password. Users without a password see a button first, which shows the form. */
export function PasswordSettings({
  sync: given,
  email,
  proofs: { hasPassword },
  changes,
  onChange,
}: PasswordSettingsProps): ReactElement {
  const sync = useEngine(given);
  const [isOpen, setOpen] = useState(false);
  if (!hasPassword && !isOpen)
    return (
      <>
        <p className="pylon-note">You sign in without a password.</p>
        <button type="button" className="pylon-button pylon-plain" onClick={() => setOpen(true)}>
          Set a password
        </button>
      </>
    );
  const change = async ({
    current_password: current = "",
    password = "",
  }: Readonly<Record<string, string>>): Promise<void> => {
    await changePassword(current === "" ? null : current, password, { sync });
    onChange();
  };
  return (
    <Form
      key={changes}
      action={hasPassword ? "Change the password" : "Set the password"}
      onSend={change}
    >
      {changes > 0 && <Note>Your password was changed. Other devices were signed out.</Note>}
      <HiddenUsername email={email} />
      {hasPassword && <PasswordField label="Current password" name="current_password" />}
      <PasswordField label="New password" isNew isFirst={isOpen && changes === 0} />
    </Form>
  );
}
