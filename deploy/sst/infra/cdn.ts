import { dnsOf, type Settings } from "./settings";

const ONE_YEAR_S = 31_536_000;
/** The load balancer's cookies for a client's replica; they contain no data about the client. */
const STICKY_COOKIES = ["AWSALB", "AWSALBCORS"];
/**
 * Temporary errors during a deployment must not be cached: by default CloudFront would cache an
 * error for ten seconds.
 */
const UNCACHED_ERRORS = [404, 502, 503, 504];

/**
 * CloudFront in front of the app's pages and assets: it caches what the server marks as cacheable
 * and requests the rest again. It forwards only the client's replica, and nothing that identifies
 * the client, so that no personal data can be cached. The API and the sockets are served from the
 * stage's own domain, and are rejected here.
 *
 * Pages require a CDN name below the domain: with CloudFront's own name they would be on another
 * site, to which browsers send no cookies. Without one the CDN only serves assets, and redirects
 * requests for pages to the stage's own domain, as it always does for the server's own pages.
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
  // Not part of the cache key: an asset is the same on every replica that has it.
  const originPolicy = new aws.cloudfront.OriginRequestPolicy("CdnOriginPolicy", {
    comment: "The replica of a page has its assets",
    cookiesConfig: { cookieBehavior: "whitelist", cookies: { items: STICKY_COOKIES } },
    headersConfig: { headerBehavior: "none" },
    queryStringsConfig: { queryStringBehavior: "all" },
  });
  const atEdge = (name: string, comment: string, code: string): aws.cloudfront.Function =>
    new aws.cloudfront.Function(name, { runtime: "cloudfront-js-2.0", comment, code });
  const guard = atEdge("CdnGuard", "Refuses the API and sockets", guardCode(settings));
  const cleaner = atEdge("CdnCleaner", "Keeps cookies out of what is cached", CLEANER_CODE);
  return new sst.aws.Cdn("Cdn", {
    comment:
      `${settings.cdnDomain === undefined ? "Assets" : "Pages and assets"} of ${$app.name} ` +
      `${$app.stage}`,
    origins: [
      {
        originId: "pylon",
        // The certificate is for this name. The dependency on the service keeps the order: the name
        // is created with it.
        domainName: service.nodes.loadBalancer.dnsName.apply(() => settings.domain),
        customOriginConfig: {
          httpPort: 80,
          httpsPort: 443,
          originProtocolPolicy: "https-only",
          originSslProtocols: ["TLSv1.2"],
        },
      },
    ],
    defaultCacheBehavior: {
      targetOriginId: "pylon",
      viewerProtocolPolicy: "redirect-to-https",
      allowedMethods: ["GET", "HEAD", "OPTIONS"],
      cachedMethods: ["GET", "HEAD"],
      compress: true,
      cachePolicyId: cachePolicy.id,
      originRequestPolicyId: originPolicy.id,
      functionAssociations: [
        { eventType: "viewer-request", functionArn: guard.arn },
        { eventType: "viewer-response", functionArn: cleaner.arn },
      ],
    },
    customErrorResponses: UNCACHED_ERRORS.map((errorCode) => ({
      errorCode,
      errorCachingMinTtl: 0,
    })),
    ...(settings.cdnDomain === undefined
      ? {}
      : { domain: { name: settings.cdnDomain, dns: dnsOf(settings) } }),
  });
}

/** Runs at the edge, in CloudFront's own JavaScript. */
function guardCode({ domain, cdnDomain }: Settings): string {
  const refusal = {
    statusCode: 421,
    statusDescription: "Misdirected Request",
    headers: {
      "content-type": { value: "application/json" },
      "cache-control": { value: "no-store" },
    },
    body: JSON.stringify({
      error: {
        code: "WRONG_HOST",
        message: `This name serves ${cdnDomain === undefined ? "" : "pages and "}assets only.`,
        hint: `Send API requests and sockets to https://${domain}.`,
      },
    }),
  };
  const isElsewhere =
    cdnDomain === undefined
      ? String.raw`!/\.(?!html?$)[a-z0-9]+$/i.test(request.uri)`
      : String.raw`/^\/(auth|studio)(\/|$)/.test(request.uri)`;
  return `var LIVE = /^\\/(api|ws|events|shards)(\\/|$)/;
function handler(event) {
  var request = event.request;
  if (LIVE.test(request.uri) || request.headers.upgrade) return ${JSON.stringify(refusal)};
  if (${isElsewhere}) {
    var query = Object.keys(request.querystring).map(function (name) {
      var parameter = request.querystring[name];
      return (parameter.multiValue || [parameter])
        .map(function (each) { return name + "=" + each.value; })
        .join("&");
    }).join("&");
    return {
      statusCode: 302,
      statusDescription: "Found",
      headers: {
        location: { value: "https://${domain}" + request.uri + (query === "" ? "" : "?" + query) },
        "cache-control": { value: "no-store" }
      },
    };
  }
  return request;
}
`;
}

/**
 * A page that gets an asset from the cache must not be routed to the replica of the page that
 * requested it first.
 */
const CLEANER_CODE = `function handler(event) {
  var response = event.response;
  var caching = response.headers["cache-control"];
  if (caching && /max-age|immutable/.test(caching.value)) response.cookies = {};
  return response;
}
`;
