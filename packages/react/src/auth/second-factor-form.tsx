import type { ReactElement } from "react";
import { verifySecondFactor } from "./calls.ts";
import { CodeField, Form } from "./form.tsx";
import type { SignInFlow } from "./sign-in-flow.ts";

/** The step after a sign-in of a user who has an authenticator app. */
export function SecondFactorForm({
  flow: { sync, mfaToken, run },
}: {
  readonly flow: SignInFlow;
}): ReactElement {
  return (
    <Form
      action="Go on"
      onSend={({ code = "", trust }) =>
        run(() => verifySecondFactor(mfaToken ?? "", code, { sync, trustDevice: trust === "on" }))
      }
    >
      <CodeField label="Code of your authenticator app, or a backup code" />
      <label className="pylon-check">
        <input type="checkbox" name="trust" /> Do not ask again on this device
      </label>
    </Form>
  );
}
