import { defineCommand } from "../command.ts";
import { EXIT } from "../output.ts";
import { AdminClient, URL_OPTION } from "../remote/admin-client.ts";
import { overviewLines, overviewOf } from "../remote/overview.ts";
import { parsePrometheus, Scrape } from "../remote/prometheus.ts";

const INTERVAL_MS = 2_000;
const CLEAR = "\u001b[2J\u001b[H";

/** `pylon metrics`: shows an overview of a running server. */
export const metrics = defineCommand({
  name: "metrics",
  args: [],
  summary:
    "Show the state of a running server, as its admin: failures, errors, durations, " +
    "connections, memory. Requires PYLON_ADMIN_TOKEN.",
  options: {
    url: URL_OPTION,
    watch: {
      type: "boolean",
      summary:
        `Poll every ${INTERVAL_MS / 1000} s and show ` + "what happened in between, until Ctrl-C.",
    },
  },
  async run({ options, output, env }) {
    const client = new AdminClient(options.url, env);
    const scrape = async (): Promise<{ readonly scraped: Scrape; readonly at: number }> => ({
      scraped: new Scrape(parsePrometheus(await (await client.get("/metrics")).text())),
      at: performance.now(),
    });
    const show = (overview: ReturnType<typeof overviewOf>, isDelta: boolean): void => {
      const about = isDelta ? `the last ${INTERVAL_MS / 1000} s` : "since its start";
      output.say(
        `${isDelta && process.stdout.isTTY ? CLEAR : ""}# ${client.url}, ${about}; behind a ` +
          `load balancer, this is ` +
          "the one replica that responded",
      );
      for (const line of overviewLines(overview, isDelta)) output.say(line);
      output.json({ code: "METRICS_OK", url: client.url, ...overview });
    };
    let before = await scrape();
    show(overviewOf(before.scraped), false);
    while (options.watch) {
      await Bun.sleep(INTERVAL_MS);
      const now = await scrape();
      show(
        overviewOf(now.scraped, { before: before.scraped, seconds: (now.at - before.at) / 1000 }),
        true,
      );
      before = now;
    }
    return EXIT.OK;
  },
});
