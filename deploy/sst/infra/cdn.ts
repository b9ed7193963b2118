import { dnsOf, type Settings } from "./settings";

const ONE_YEAR_S = 31_536_000;

/**
 * CloudFront in front of the app's pages and assets: it keeps what the server marks as cacheable and asks again for the rest. It passes on
 * neither cookies nor Authorization, so that nothing personal can be cached, and refuses the API and the sockets, which belong to the
 * stage's own domain.
 */
export function createCdn(service: sst.aws.Service, settings: Settings): sst.aws.Cdn {
  const cachePolicy = new aws.cloudfront.CachePolicy("CdnCachePolicy", {
    comment: "As long as Cache-Control says",
    minTtl: 0,
    defaultTtl: 0,
    maxTtl: ONE_YEAR_S,
    parametersInCacheKeyAndForwardedToOrigin: {
      enableAcceptEncodingBrotli: true,
      enableAcceptEncodingGzip: true,
      cookiesConfig: { cookieBehavior: "none" },
      headersConfig: { headerBehavior: "whitelist", headers: { items: ["Origin"] } },
      queryStringsConfig: { queryStringBehavior: "all" },
    },
  });
  const guard = new aws.cloudfront.Function("CdnGuard", {
    runtime: "cloudfront-js-2.0",
    comment: "Refuses the API and sockets",
    code: guardCode(settings.domain),
  });
  return new sst.aws.Cdn("Cdn", {
    comment: `Pages and assets of ${$app.name} ${$app.stage}`,
    origins: [
      {
        originId: "pylon",
        // The certificate is for this name. The dependency on the service keeps the order: the name is made with it.
        domainName: service.nodes.loadBalancer.dnsName.apply(() => settings.domain),
        customOriginConfig: { httpPort: 80, httpsPort: 443, originProtocolPolicy: "https-only", originSslProtocols: ["TLSv1.2"] },
      },
    ],
    defaultCacheBehavior: {
      targetOriginId: "pylon",
      viewerProtocolPolicy: "redirect-to-https",
      allowedMethods: ["GET", "HEAD", "OPTIONS"],
      cachedMethods: ["GET", "HEAD"],
      compress: true,
      cachePolicyId: cachePolicy.id,
      functionAssociations: [{ eventType: "viewer-request", functionArn: guard.arn }],
    },
    ...(settings.cdnDomain === undefined ? {} : { domain: { name: settings.cdnDomain, dns: dnsOf(settings) } }),
  });
}

/** Runs at the edge, in CloudFront's own JavaScript. */
function guardCode(domain: string): string {
  const answer = {
    statusCode: 421,
    statusDescription: "Misdirected Request",
    headers: { "content-type": { value: "application/json" }, "cache-control": { value: "no-store" } },
    body: JSON.stringify({ error: { code: "WRONG_HOST", message: "This name serves pages and assets only.", hint: `Send API requests and sockets to https://${domain}.` } }),
  };
  return `var LIVE = /^\\/(api|ws|events|shards)(\\/|$)/;
function handler(event) {
  var request = event.request;
  return LIVE.test(request.uri) || request.headers.upgrade ? ${JSON.stringify(answer)} : request;
}
`;
}
