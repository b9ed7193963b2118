import { PylonClientError } from "@pylonsync/sync";
import { useState, type ReactElement } from "react";
import { useEngine } from "../provider.tsx";
import { confirmAuthenticator, enrollAuthenticator, removeAuthenticator } from "./account-calls.ts";
import type { AuthCallOptions } from "./calls.ts";
import { CodeField, Form, Note, PasswordField, type FormProps } from "./form.tsx";
import { QrCode } from "./qr-code.tsx";

type Step =
  | { readonly name: "start" | "remove" | "removed" }
  | { readonly name: "confirm"; readonly secret: string; readonly url: string }
  | { readonly name: "added"; readonly backupCodes: readonly string[] };

interface AuthenticatorSettingsProps extends AuthCallOptions {
  /** Whether the user has an authenticator app. */
  readonly isOn: boolean;
  /** Reloads `isOn`. */
  readonly refresh: () => void;
}

/** Adds an authenticator app and shows its backup codes once, or removes the existing app. */
export function AuthenticatorSettings({
  sync: given,
  isOn,
  refresh,
}: AuthenticatorSettingsProps): ReactElement {
  const sync = useEngine(given);
  const [step, setStep] = useState<Step>({ name: "start" });
  const [asksPassword, setAsksPassword] = useState(false);
  const enroll = async ({ password }: Readonly<Record<string, string>>): Promise<void> => {
    try {
      const proof = password === undefined ? {} : { password };
      setStep({ name: "confirm", ...(await enrollAuthenticator({ sync, ...proof })) });
    } catch (error) {
      if (error instanceof PylonClientError && error.code === "FRESH_SIGN_IN_REQUIRED")
        setAsksPassword(true);
      throw error;
    }
  };
  switch (step.name) {
    case "confirm":
      return (
        <ConfirmForm
          {...step}
          onSend={async ({ code = "" }) => {
            setStep({ name: "added", backupCodes: await confirmAuthenticator(code, { sync }) });
            refresh();
          }}
        />
      );
    case "added":
      return <BackupCodes codes={step.backupCodes} />;
    case "remove":
      return (
        <RemoveForm
          onSend={async ({ code = "" }) => {
            await removeAuthenticator(code, { sync });
            setStep({ name: "removed" });
            refresh();
          }}
        />
      );
    default:
      return (
        <>
          {step.name === "removed" && <Note>The authenticator app was removed.</Note>}
          {isOn && step.name !== "removed" ? (
            <RemoveButton onClick={() => setStep({ name: "remove" })} />
          ) : (
            <Form action="Add an authenticator app" isPlain onSend={enroll}>
              {asksPassword && <PasswordField />}
            </Form>
          )}
        </>
      );
  }
}

function ConfirmForm({
  secret,
  url,
  onSend,
}: Pick<FormProps, "onSend"> & {
  readonly secret: string;
  readonly url: string;
}): ReactElement {
  return (
    <Form action="Confirm" onSend={onSend}>
      <QrCode text={url} label="Key for your authenticator app" />
      <p className="pylon-note">
        Scan this with your authenticator app. On this device <a href={url}>open the app</a>, or
        enter this key in it: <code className="pylon-secret">{secret}</code>
      </p>
      <CodeField label="Code from the app" />
    </Form>
  );
}

function RemoveButton({ onClick }: { readonly onClick: () => void }): ReactElement {
  return (
    <button type="button" className="pylon-button pylon-plain" onClick={onClick}>
      Remove the app
    </button>
  );
}

function RemoveForm({ onSend }: Pick<FormProps, "onSend">): ReactElement {
  return (
    <Form action="Remove the app" isDanger onSend={onSend}>
      <CodeField label="Code from the app, or a backup code" />
    </Form>
  );
}

function BackupCodes({ codes }: { readonly codes: readonly string[] }): ReactElement {
  return (
    <>
      <Note>
        The app is added. Keep these codes for when it is lost; each works once, and they are not
        shown again.
      </Note>
      <ul className="pylon-codes" aria-label="Backup codes">
        {codes.map((code) => (
          <li key={code}>{code}</li>
        ))}
      </ul>
    </>
  );
}
