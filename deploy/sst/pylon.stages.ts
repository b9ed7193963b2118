import type { Stages } from "./infra/stages";

/**
 * What each stage is deployed as, from whichever machine. Keep it in git. Secrets are not in here:
 * `pylon secrets set NAME --stage STAGE` hands them to SST.
 */
const stages: Stages = {
  production: {
    /** AWS's region, such as "eu-central-1". Empty: that of the account that deploys. */
    region: "",
    /** The name that clients use, such as "api.example.com". */
    domain: "",
    // alarmEmail: "on-call@example.com",
    // secrets: ["PYLON_SMTP_URL"],
    // variables: { PYLON_EMAIL_FROM: "hello@example.com" },
  },
  /** Every other stage; pr-42 is reached at pr-42.<domain>. */
  others: {
    region: "",
    domain: "",
  },
};

export default stages;
