import { action } from "@pylonsync/functions";

/** Reports what it knows of its job as the job's progress. */
export default action({
  args: {},
  handler: async ({ job }) => {
    if (job === null) return null;
    await job.setProgress(0.5, `attempt ${job.attempt} of ${job.id}, batch ${String(job.batch)}`);
    return job.id;
  },
});
