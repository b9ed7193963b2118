import { PylonError } from "@pylonsync/protocol";
import type { Log } from "../observe/log.ts";
import { isRecord } from "../util/is-record.ts";

const RETRY_AFTER_S = 5;

/** The operations that are used, and the permissions that a role needs for each. */
const PERMISSIONS = {
  PutObject: "s3:PutObject",
  GetObject: "s3:GetObject",
  // Without s3:ListBucket S3 returns 403 for an object that does not exist.
  HeadObject: "s3:GetObject and s3:ListBucket",
  DeleteObject: "s3:DeleteObject",
  CreateMultipartUpload: "s3:PutObject",
  UploadPart: "s3:PutObject",
  CompleteMultipartUpload: "s3:PutObject",
  AbortMultipartUpload: "s3:AbortMultipartUpload",
} as const;
/** An operation of S3 that the server uses. */
export type S3Operation = keyof typeof PERMISSIONS;

/** The HTTP status of S3's response; undefined if there was none. */
export function statusOfS3(error: unknown): number | undefined {
  const metadata = isRecord(error) ? error["$metadata"] : undefined;
  const status = isRecord(metadata) ? metadata["httpStatusCode"] : undefined;
  return typeof status === "number" ? status : undefined;
}

/** Whether the error means that the object does not exist, as opposed to the bucket. */
export function isMissingObject(error: unknown): boolean {
  return statusOfS3(error) === 404 && nameOf(error) !== "NoSuchBucket";
}

/** Logs what failed and what to do; the caller of the API learns only that it failed. */
export function s3Failure(
  error: unknown,
  operation: S3Operation,
  bucket: string,
  log: Log,
): PylonError {
  const status = statusOfS3(error);
  const fields = { operation, bucket, status, reason: nameOf(error) };
  if (status === 403)
    log.error(
      `S3 denied ${operation} on the bucket ${bucket}: ` +
        `check the credentials, and allow ${PERMISSIONS[operation]}.`,
      undefined,
      fields,
    );
  else if (nameOf(error) === "NoSuchBucket")
    log.error(
      `The bucket ${bucket} does not exist: create it, or change PYLON_S3_BUCKET.`,
      undefined,
      fields,
    );
  else if (nameOf(error) === "CredentialsProviderError")
    log.error(
      "There are no credentials for S3: set PYLON_S3_ACCESS_KEY and PYLON_S3_SECRET_KEY, " +
        "or assign a role to the machine.",
      undefined,
      fields,
    );
  else log.error(`The S3 operation ${operation} failed on the bucket ${bucket}.`, error, fields);
  return new PylonError("STORAGE_UNAVAILABLE", "The file storage is unavailable.", {
    hint: `Try again in ${RETRY_AFTER_S} s; the server's log has the reason.`,
    extra: { retry_after_secs: RETRY_AFTER_S },
  });
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
