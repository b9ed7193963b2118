import { query } from "@pylonsync/functions";
import { z } from "zod";

/** Arguments and result by a schema of another library, which transforms them. */
export default query({
  args: z.object({ at: z.iso.datetime().transform((text) => new Date(text)) }),
  returns: z.object({ year: z.number().transform((year) => `in ${year}`) }),
  handler: (_ctx, { at }) => ({ year: at.getUTCFullYear() }) as never,
});
