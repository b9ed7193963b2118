import type { EmailConfig } from "./config.ts";
import type { VariableReader } from "./variable-reader.ts";
import { VARIABLES, type VariableName } from "./variables.ts";

/** Returns the mail settings, or null if there are none or a provider's setting is missing. */
export function emailConfig(reader: VariableReader): EmailConfig | null {
  const smtpUrl = reader.get("PYLON_SMTP_URL");
  const provider =
    reader.get("PYLON_EMAIL_PROVIDER") ?? (smtpUrl === undefined ? undefined : "smtp");
  const from = reader.get("PYLON_EMAIL_FROM");
  const apiKey = reader.get("PYLON_EMAIL_API_KEY");
  const url = reader.get("PYLON_EMAIL_HTTP_URL");
  if (provider === undefined) return null;
  const missing = (name: VariableName): null => {
    reader.problems.add(
      `${name} is not set, and mail by ${provider} needs it: expected ${VARIABLES[name].wants}.`,
    );
    return null;
  };
  if (from === undefined) return missing("PYLON_EMAIL_FROM");
  switch (provider) {
    case "smtp":
      return smtpUrl === undefined ? missing("PYLON_SMTP_URL") : { provider, from, smtpUrl };
    case "ses":
      return { provider, from, region: reader.awsRegion, url };
    case "resend":
    case "sendgrid":
      return apiKey === undefined
        ? missing("PYLON_EMAIL_API_KEY")
        : { provider, from, apiKey, url };
    case "webhook":
      return url === undefined
        ? missing("PYLON_EMAIL_HTTP_URL")
        : { provider, from, apiKey: apiKey ?? null, url };
  }
}
