import type { ReactElement } from "react";
import { verifySecondFactor } from "./calls.ts";
import { CodeField, Form } from "./form.tsx";
import type { SignInFlow } from "./sign-in-flow.ts";

/** Asks for the code from the user's authenticator app after a sign-in. */
export function SecondFactorForm({
  flow: { sync, mfaToken, run },
}: {
  readonly flow: SignInFlow;
}): ReactElement {
  return (
    <Form
      action="Continue"
      onSend={({ code = "", trust }) =>
        run(() => verifySecondFactor(mfaToken ?? "", code, { sync, trustDevice: trust === "on" }))
      }
    >
      <CodeField label="Code from your authenticator app, or a backup code" />
      <label className="pylon-check">
        <input type="checkbox" name="trust" /> Don't ask again on this device
      </label>
    </Form>
  );
}
