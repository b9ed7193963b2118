import type { RequestContext } from "../../request/context.ts";
import type { SecondFactor } from "../sign-in/sign-in.ts";
import type { TotpFactors } from "./totp-factors.ts";
import type { TrustedDevices } from "./trusted-devices.ts";

/** The second factors that a sign-in requires: an authenticator app, except on a trusted device. */
export class SecondFactors implements SecondFactor {
  readonly #totp: TotpFactors;
  readonly #devices: TrustedDevices;

  constructor(totp: TotpFactors, devices: TrustedDevices) {
    this.#totp = totp;
    this.#devices = devices;
  }

  async methodsOf(userId: string): Promise<readonly string[]> {
    return (await this.#totp.isOn(userId)) ? ["totp"] : [];
  }

  isTrusted(context: RequestContext, userId: string): Promise<boolean> {
    return this.#devices.isTrusted(context, userId);
  }

  forgetTrustedDevices(userId: string): Promise<void> {
    return this.#devices.forget(userId);
  }
}
