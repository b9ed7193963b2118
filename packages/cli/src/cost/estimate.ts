import type { Shape } from "../deploy/targets.ts";
import type { Price, PriceName } from "./prices.ts";

/** The deployment to estimate. */
export interface CostInput {
  readonly shape: Shape;
  readonly replicas: number;
  /** The size of the database and of the files, each. */
  readonly storageGb: number;
  /** The data that clients download over the internet per month. */
  readonly egressGb: number;
}

/** A line of the estimate; `usd` is the cost of the quantity in a month. */
export interface CostLine {
  readonly item: string;
  readonly quantity: number;
  readonly unit: string;
  readonly price: number;
  readonly usd: number;
}

/** An estimate of a month, in USD. */
export interface Estimate {
  readonly lines: readonly CostLine[];
  /** With Aurora paused at its minimum. */
  readonly least: number;
  /** With Aurora at its maximum, all month. */
  readonly most: number;
  /**
   * The cost of the containers in other stages than production, which run on Spot, in place of
   * their cost here.
   */
  readonly containers: number;
  readonly containersOnSpot: number;
}

/** The hours of a month, as AWS counts them. */
const HOURS = 730;
const ZONES = 2;
const CONTAINER = { vcpu: 0.25, gb: 0.5 };
const SHARDS_CONTAINER = { vcpu: 1, gb: 2 };
const ACU = { least: 0.5, most: 2 };
const INTERFACE_ENDPOINTS = 5;
/**
 * The server of the efs shape copies all of its data each day. Each copy is new to AWS Backup,
 * which keeps it for 35 days.
 */
const BACKUPS = { onDisk: 2, aMonth: 30, kept: 35 };
const ALARMS = { service: 7, database: 2, cache: 2, volume: 1 };

/** Assumptions about a small app per month; each is a separate line, to be corrected by hand. */
const ASSUMPTIONS = {
  lcu: 1,
  auroraMillionIo: 10,
  logsGb: 2,
  cdnThousands: 1_000,
  s3Thousands: 100,
  imageGb: 1,
  endpointGb: 10,
  volumeGb: 10,
};

/** Creates a line for a quantity of something that has a price. */
type MakeLine = (item: string, name: PriceName, quantity: number) => CostLine;

/**
 * The monthly cost of a shape in production, by line: of the resources in deploy/sst/infra, at
 * these prices.
 */
export function estimate(input: CostInput, prices: Readonly<Record<PriceName, Price>>): Estimate {
  const line: MakeLine = (item, name, quantity) => {
    const { usd, unit } = prices[name];
    return { item, quantity, unit, price: usd, usd: cents(quantity * usd) };
  };
  const isSingle = input.shape === "efs";
  const { vcpu, gb } = containersOf(input);
  const compute = [
    line("Containers, vCPU", "fargateVcpu", vcpu * HOURS),
    line("Containers, memory", "fargateGb", gb * HOURS),
  ];
  const spot = [line("", "fargateSpotVcpu", vcpu * HOURS), line("", "fargateSpotGb", gb * HOURS)];
  const atLeast = isSingle ? [] : [line("Aurora at its minimum", "auroraAcu", ACU.least * HOURS)];
  const atMost = isSingle ? [] : [line("Aurora at its maximum", "auroraAcu", ACU.most * HOURS)];
  const others = [
    ...(isSingle ? volumeLines(input, line) : databaseLines(input, line)),
    ...networkLines(input, line),
    ...operationLines(input, line),
  ];
  return {
    lines: [...compute, ...atLeast, ...atMost, ...others],
    least: totalOf([...compute, ...others, ...atLeast]),
    most: totalOf([...compute, ...others, ...atMost]),
    containers: totalOf(compute),
    containersOnSpot: totalOf(spot),
  };
}

function containersOf({ shape, replicas }: CostInput): {
  readonly count: number;
  readonly vcpu: number;
  readonly gb: number;
} {
  const shards = shape === "shards" ? 1 : 0;
  return {
    count: replicas + shards,
    vcpu: replicas * CONTAINER.vcpu + shards * SHARDS_CONTAINER.vcpu,
    gb: replicas * CONTAINER.gb + shards * SHARDS_CONTAINER.gb,
  };
}

function balancersOf({ shape }: CostInput): number {
  return shape === "shards" ? 2 : 1;
}

function hasCache({ shape }: CostInput): boolean {
  return shape === "redis" || shape === "shards";
}

/** Aurora, and S3 for files. */
function databaseLines({ storageGb }: CostInput, line: MakeLine): CostLine[] {
  return [
    line("Aurora, storage", "auroraStorage", storageGb),
    line("Aurora, I/O", "auroraIo", ASSUMPTIONS.auroraMillionIo),
    line("S3, storage", "s3Storage", storageGb),
    line("S3, uploads", "s3Writes", ASSUMPTIONS.s3Thousands),
    line("S3, downloads", "s3Reads", ASSUMPTIONS.s3Thousands),
  ];
}

/** One volume for rows and files. */
function volumeLines({ storageGb }: CostInput, line: MakeLine): CostLine[] {
  const volumeGb = storageGb * 2;
  return [
    line("EFS, storage", "efsStorage", volumeGb * (1 + BACKUPS.onDisk)),
    line("EFS, reads", "efsReads", ASSUMPTIONS.volumeGb + volumeGb * BACKUPS.aMonth),
    line("EFS, writes", "efsWrites", ASSUMPTIONS.volumeGb + volumeGb * BACKUPS.aMonth),
    line("EFS, backups", "efsBackup", volumeGb * (1 + BACKUPS.kept)),
  ];
}

function networkLines(input: CostInput, line: MakeLine): CostLine[] {
  const balancers = balancersOf(input);
  const isPrivate = input.shape === "nat-less";
  const addresses = balancers * ZONES + (isPrivate ? 0 : containersOf(input).count);
  return [
    line(balancers === 1 ? "Load balancer" : "Load balancers", "albHour", balancers * HOURS),
    line("Load balancer, capacity", "albLcu", balancers * ASSUMPTIONS.lcu * HOURS),
    line("Public IPv4 addresses", "publicIpv4", addresses * HOURS),
    ...(isPrivate
      ? [
          line("VPC endpoints", "endpoint", INTERFACE_ENDPOINTS * ZONES * HOURS),
          line("VPC endpoints, data", "endpointData", ASSUMPTIONS.endpointGb),
        ]
      : []),
    line("Data to clients", "egress", input.egressGb),
    line("CloudFront, requests", "cdnRequests", ASSUMPTIONS.cdnThousands / 10),
    line("Route 53, the domain and Cloud Map", "hostedZone", 2),
  ];
}

function operationLines(input: CostInput, line: MakeLine): CostLine[] {
  const isSingle = input.shape === "efs";
  const balancers = balancersOf(input);
  const passwords = (isSingle ? 0 : 1) + (hasCache(input) ? 1 : 0);
  const alarms =
    balancers * ALARMS.service +
    (isSingle ? ALARMS.volume : ALARMS.database) +
    (hasCache(input) ? ALARMS.cache : 0);
  // A policy by CPU watches one metric from above and one from below; the one by connections uses
  // two for each direction.
  const scalingMetrics = balancers * 2 + (isSingle ? 0 : 4);
  return [
    ...(hasCache(input) ? [line("Valkey", "valkeyNode", HOURS)] : []),
    ...(passwords === 0 ? [] : [line("Passwords of Aurora and Valkey", "secret", passwords)]),
    line("CloudWatch, log ingestion", "logsIngestion", ASSUMPTIONS.logsGb),
    line("CloudWatch, logs kept three months", "logsStorage", ASSUMPTIONS.logsGb * 3),
    line("CloudWatch, alarms", "alarm", alarms),
    line("CloudWatch, alarms for scaling", "alarm", scalingMetrics),
    line("Images", "registry", ASSUMPTIONS.imageGb),
  ];
}

function totalOf(lines: readonly CostLine[]): number {
  return cents(lines.reduce((sum, { usd }) => sum + usd, 0));
}

function cents(usd: number): number {
  return Math.round(usd * 100) / 100;
}
