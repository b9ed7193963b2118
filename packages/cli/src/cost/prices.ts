/** The date of the prices below. They are list prices, without taxes, discounts and free tiers. */
export const PRICES_DATE = "2026-11-01";

/** A list price. */
export interface Price {
  readonly usd: number;
  readonly unit: string;
  /** The page of AWS that contains it. */
  readonly source: string;
}

function price(usd: number, unit: string, source: string): Price {
  return { usd, unit, source };
}

const US_EAST_1 = {
  fargateVcpu: price(0.04048, "vCPU-hour", "AWS Fargate pricing, Linux on x86"),
  fargateGb: price(0.004445, "GB-hour", "AWS Fargate pricing, Linux on x86"),
  /** Spot prices change; these are approximate. */
  fargateSpotVcpu: price(0.01214, "vCPU-hour", "AWS Fargate pricing, Fargate Spot"),
  fargateSpotGb: price(0.00133, "GB-hour", "AWS Fargate pricing, Fargate Spot"),
  auroraAcu: price(0.12, "ACU-hour", "Amazon Aurora pricing, Serverless v2, Aurora Standard"),
  auroraStorage: price(0.1, "GB-month", "Amazon Aurora pricing, Aurora Standard"),
  auroraIo: price(0.2, "million I/O", "Amazon Aurora pricing, Aurora Standard"),
  s3Storage: price(0.023, "GB-month", "Amazon S3 pricing, S3 Standard"),
  s3Writes: price(0.005, "thousand requests", "Amazon S3 pricing, PUT and POST"),
  s3Reads: price(0.0004, "thousand requests", "Amazon S3 pricing, GET"),
  albHour: price(0.0225, "hour", "Elastic Load Balancing pricing, Application Load Balancer"),
  albLcu: price(0.008, "LCU-hour", "Elastic Load Balancing pricing, Application Load Balancer"),
  publicIpv4: price(0.005, "address-hour", "Amazon VPC pricing, public IPv4 addresses"),
  endpoint: price(0.01, "endpoint-zone-hour", "AWS PrivateLink pricing, interface endpoints"),
  endpointData: price(0.01, "GB", "AWS PrivateLink pricing, interface endpoints"),
  valkeyNode: price(0.0128, "node-hour", "Amazon ElastiCache pricing, cache.t4g.micro, Valkey"),
  efsStorage: price(0.3, "GB-month", "Amazon EFS pricing, Regional, Standard"),
  efsReads: price(0.03, "GB", "Amazon EFS pricing, Elastic Throughput, reads"),
  efsWrites: price(0.06, "GB", "Amazon EFS pricing, Elastic Throughput, writes"),
  efsBackup: price(0.05, "GB-month", "AWS Backup pricing, Amazon EFS, warm storage"),
  logsIngestion: price(0.5, "GB", "Amazon CloudWatch pricing, Standard logs"),
  logsStorage: price(0.03, "GB-month", "Amazon CloudWatch pricing, Standard logs"),
  alarm: price(0.1, "metric-month", "Amazon CloudWatch pricing, standard alarms"),
  cdnRequests: price(0.01, "10,000 requests", "Amazon CloudFront pricing, HTTPS, North America"),
  hostedZone: price(0.5, "zone-month", "Amazon Route 53 pricing, hosted zones"),
  secret: price(0.4, "secret-month", "AWS Secrets Manager pricing"),
  registry: price(0.1, "GB-month", "Amazon ECR pricing, private repositories"),
  egress: price(0.09, "GB", "Amazon EC2 pricing, data transfer out to the internet"),
} satisfies Readonly<Record<string, Price>>;

/** The names of all prices. */
export type PriceName = keyof typeof US_EAST_1;

/** By region. A region that is missing here is rejected instead of estimated. */
export const PRICES: Readonly<Record<string, Readonly<Record<PriceName, Price>>>> = {
  "us-east-1": US_EAST_1,
};
