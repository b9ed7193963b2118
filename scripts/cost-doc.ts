// Writes docs/deploy/cost.md from what `pylon cost` says of each shape: `bun scripts/cost-doc.ts`.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../packages/cli/src/main.ts", import.meta.url));

/** Each shape with how many replicas its table is for. */
const SHAPES = [
  [
    "default",
    1,
    "The smallest production: a container, Aurora at half a unit, a load balancer, S3.",
  ],
  ["default", 4, "The same with as many containers as the config allows, all month."],
  ["redis", 2, "Two containers that share rooms and limits through Valkey."],
  [
    "nat-less",
    2,
    "Two containers without public addresses. The endpoints cost more than the containers.",
  ],
  [
    "efs",
    1,
    "One container with SQLite on EFS: the cheapest with little data. The daily backups are " +
      "most of it: with 1 GB of rows and files together it is 54 USD.",
  ],
  ["shards", 2, "Two containers, and a bigger one with a load balancer of its own for shards."],
] as const;

const INTRO = `# What it costs

Find out what a deployment costs before you make it. \`pylon cost\` estimates what a shape costs \
on AWS in a month. It knows what the configs in \`deploy/sst\` make and a table of list prices; it \
makes
no requests. Taxes, discounts and free tiers are left out, so a small app pays less: AWS gives the \
first 100 GB of data to clients and the first ten
alarms of an account for nothing.

Your own numbers go into the flags; [the command line](../cli.md) lists them. What the flags do \
not say is assumed to be a small app's: one unit of
capacity of the load balancer, ten million I/O of the database, 2 GB of logs, a million requests \
to CloudFront, a hundred thousand uploads and as many
downloads. All of that are lines of the table, so that you can correct them by hand. A \
certificate, the parameters and the autoscaling cost nothing.
Where the domain's records are not at Route 53, one of the two zones falls away. Snapshots of \
Aurora beyond the database's own size are left out.

The prices are those of us-east-1; \`--region\` refuses a region that it has no prices of.

What decides: Aurora, which at its most costs four times its least; the load balancer; and for \
idle sockets nothing, because they cost memory that is
paid for already.
`;

/** The text of docs/deploy/cost.md. */
export function costDoc(): string {
  const parts = SHAPES.map(([shape, replicas, about]) => {
    const { stdout } = spawnSync(
      process.execPath,
      [MAIN, "cost", "--shape", shape, "--replicas", String(replicas)],
      { encoding: "utf8" },
    );
    return (
      `\n## ${shape}, ${replicas} ${replicas === 1 ? "replica" : "replicas"}\n\n${about}\n\n` +
      `${stdout}`
    );
  });
  return `${INTRO}${parts.join("")}\nThis page is made by \`scripts/cost-doc.ts\`.\n`;
}

if (import.meta.main)
  await Bun.write(new URL("../docs/deploy/cost.md", import.meta.url), costDoc());
