import type { Settings } from "./settings";

/** Only the permissions that Pylon needs: linking a bucket alone would grant everything on it. */
const OBJECT_ACTIONS = [
  "s3:GetObject",
  "s3:PutObject",
  "s3:DeleteObject",
  "s3:AbortMultipartUpload",
  "s3:ListMultipartUploadParts",
];
const BUCKET_ACTIONS = ["s3:ListBucket", "s3:ListBucketMultipartUploads"];

const UNFINISHED_UPLOADS = "unfinished-uploads";
const WHOLE_BUCKET = { status: "Enabled", filter: { prefix: "" } };
const unfinishedUploads = {
  ...WHOLE_BUCKET,
  id: UNFINISHED_UPLOADS,
  abortIncompleteMultipartUpload: { daysAfterInitiation: 7 },
};
/** A deleted or replaced file can be restored for this time, and is removed afterwards. */
const formerVersions = {
  ...WHOLE_BUCKET,
  id: "former-versions",
  noncurrentVersionExpiration: { noncurrentDays: 30 },
};
const deleteMarkers = {
  ...WHOLE_BUCKET,
  id: "delete-markers",
  expiration: { expiredObjectDeleteMarker: true },
};

export interface Files {
  readonly bucket: sst.aws.Bucket;
  readonly environment: Readonly<Record<string, $util.Input<string>>>;
}

/**
 * A private bucket. Browsers upload and download files with signed links that are valid for a few
 * minutes, from the sites that may call the stage.
 */
export function createFiles({ isProduction, corsOrigin }: Settings): Files {
  sst.Linkable.wrap(sst.aws.Bucket, (bucket) => ({
    properties: { name: bucket.name },
    include: [
      sst.aws.permission({ actions: OBJECT_ACTIONS, resources: [$interpolate`${bucket.arn}/*`] }),
      sst.aws.permission({ actions: BUCKET_ACTIONS, resources: [bucket.arn] }),
    ],
  }));
  const bucket = new sst.aws.Bucket("Files", {
    versioning: isProduction,
    cors: {
      allowOrigins: corsOrigin.split(",").map((origin) => origin.trim()),
      allowMethods: ["GET", "PUT", "HEAD"],
      allowHeaders: ["*"],
      exposeHeaders: ["ETag"],
      maxAge: "1 hour",
    },
    // SST creates the resource only if it is given a rule, and does not support these rules: they
    // replace it.
    lifecycle: [{ id: UNFINISHED_UPLOADS }],
    transform: {
      lifecycle: (args) => {
        args.rules = isProduction
          ? [unfinishedUploads, formerVersions, deleteMarkers]
          : [unfinishedUploads];
      },
    },
  });
  return {
    bucket,
    environment: {
      PYLON_FILES_PROVIDER: "s3",
      PYLON_S3_BUCKET: bucket.name,
      PYLON_S3_REGION: aws.getRegionOutput().name,
    },
  };
}
