import { EMAIL_JOB, WEBHOOK_JOB } from "@pylonsync/sdk/plugins";
import { outgoing } from "../auth/oauth/outgoing.ts";
import { ACCOUNT_EMAIL_JOB, accountEmailTask, emailTask } from "../functions/email.ts";
import type { LateWatchdog } from "../functions/late-watchdog.ts";
import type { Runner } from "../functions/runner.ts";
import { deliveryTask } from "../webhooks/delivery.ts";
import { receiversOf } from "../webhooks/receivers.ts";
import { ADVANCE_JOB } from "../workflows/advance-job.ts";
import type { AuthParts } from "./auth.ts";
import type { Base } from "./base.ts";

/** Starts to run jobs: functions of the app, and tasks of the server itself. */
export function startJobs(
  { store, app, options, metrics, jobs, workflows, tracing }: Base,
  auth: AuthParts,
  runner: Runner,
  watchdog: LateWatchdog,
): Promise<void> {
  const { config, env, log, platform } = options;
  return jobs.start({
    runner,
    watched: () => watchdog.ready(),
    traced: ({ trace, queue, attempts }, run) =>
      tracing.job({ trace, queue, attempt: attempts }, run),
    functions: () => app.current.functions,
    tasks: new Map([
      [ADVANCE_JOB, workflows.task(runner)],
      [EMAIL_JOB, emailTask(options.mailer, store)],
      [ACCOUNT_EMAIL_JOB, accountEmailTask(options.mailer, store, (args) => auth.mails.open(args))],
      [
        WEBHOOK_JOB,
        deliveryTask({
          store,
          platform,
          receivers: () => receiversOf(app.current.manifest, { env, dev: config.dev }),
          fetch: outgoing({ dev: config.dev, platform }),
        }),
      ],
    ]),
    concurrency: config.jobsConcurrency,
    timeoutMs: config.fnTimeoutMs,
    observer: {
      ended: (job, outcome, ms) => metrics.job(job.queue, outcome, ms),
      died: ({ id, name, queue }) => {
        metrics.jobDied();
        log.warn("job is dead", { job: id, name, queue });
      },
      failed: (error) => log.error("jobs failed", error),
    },
  });
}
