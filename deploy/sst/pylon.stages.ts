import type { Stages } from "./infra/stages";

/**
 * The settings of each stage, the same on every machine. Keep this file in git. It contains no
 * secrets: `pylon secrets set NAME --stage STAGE` passes them to SST.
 */
const stages: Stages = {
  production: {
    /** The AWS region, such as "eu-central-1". Empty: that of the account that deploys. */
    region: "",
    /** The host name that clients use, such as "api.example.com". */
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
