import { DEFAULT_GUEST_FILE_BYTES } from "@pylonsync/protocol";
import { GIB, httpUrl, oneOf, text, whole } from "./parsers.ts";
import { variable } from "./variable.ts";

/** Variables of files and backups. */
export const FILES_VARIABLES = {
  PYLON_FILES_PROVIDER: variable<"local" | "s3">({
    wants: "local or s3",
    doc:
      "Where uploaded files are stored: in a local folder, or in an S3 bucket. The plugin " +
      "`file_storage` can override it, see [files](files.md).",
    fallback: "local",
    parse: oneOf("local", "s3"),
  }),
  PYLON_FILES_DIR: variable<string | undefined>({
    wants: "a folder",
    doc:
      "The folder of the provider `local`; default `uploads` in the app's folder, and " +
      "`.pylon/uploads` for `pylon dev`.",
    fallback: undefined,
    parse: text,
  }),
  PYLON_FILES_MAX_BYTES: variable({
    wants: "bytes from 1",
    doc: "The maximum file size, in bytes.",
    fallback: 5 * GIB,
    parse: whole(1, 5 * 1024 * GIB),
  }),
  PYLON_FILES_ORPHAN_HOURS: variable({
    wants: "hours from 1 to 8760",
    doc:
      "How long unfinished uploads, and files that a row no longer refers to, are kept before " +
      "they are deleted, in hours.",
    fallback: 24,
    parse: whole(1, 8760),
  }),
  PYLON_FILES_GUEST_BYTES: variable({
    wants: "bytes from 1",
    doc:
      "The maximum size of all files of a guest that no row refers to, in bytes. All guests of " +
      "one IP address together may upload ten times as much per day. Such files are deleted " +
      "after PYLON_FILES_ORPHAN_HOURS, unless the guest signs in.",
    fallback: DEFAULT_GUEST_FILE_BYTES,
    parse: whole(1, 5 * 1024 * GIB),
  }),
  PYLON_FILES_USER_BYTES: variable<number | undefined>({
    wants: "bytes from 1",
    doc:
      "The maximum size of all files of a user or guest, in bytes, with the announced size of " +
      "unfinished uploads. If it is not set, there is no limit.",
    fallback: undefined,
    parse: whole(1, 1024 * 1024 * GIB),
  }),
  PYLON_BACKUP_DIR: variable<string | undefined>({
    wants: "a folder",
    doc:
      "Where `pylon start` writes backups of SQLite and of files in a local folder; each backup " +
      "is a new folder named by its time, see " +
      "[operations](deploy/operations.md#back-up-and-restore). If it is not set, no backups " +
      "are made.",
    fallback: undefined,
    parse: text,
  }),
  PYLON_BACKUP_HOURS: variable({
    wants: "hours from 1 to 8760",
    doc: "The time between two backups, in hours.",
    fallback: 24,
    parse: whole(1, 8760),
  }),
  PYLON_BACKUP_KEEP: variable({
    wants: "a whole number from 1 to 10000",
    doc: "How many backups are kept. Older ones are deleted once a new one is complete.",
    fallback: 7,
    parse: whole(1, 10_000),
  }),
  PYLON_S3_BUCKET: variable<string | undefined>({
    wants: "a bucket's name",
    doc: "The bucket for files.",
    fallback: undefined,
    parse: text,
  }),
  PYLON_S3_REGION: variable<string | undefined>({
    wants: "a region",
    doc: "The bucket's region; default AWS_REGION, and without that `us-east-1`.",
    fallback: undefined,
    parse: text,
  }),
  PYLON_S3_ENDPOINT: variable<string | undefined>({
    wants: "a URL such as http://minio:9000",
    doc: "The endpoint of another S3-compatible service. Buckets are then addressed by path.",
    fallback: undefined,
    parse: httpUrl,
  }),
  PYLON_S3_ACCESS_KEY: variable<string | undefined>({
    wants: "an access key id",
    doc:
      "Used together with PYLON_S3_SECRET_KEY. Without both, credentials are found as in the " +
      "AWS SDK, which includes ECS task roles.",
    fallback: undefined,
    parse: text,
  }),
  PYLON_S3_SECRET_KEY: variable<string | undefined>({
    wants: "a secret access key",
    doc: "The secret key for PYLON_S3_ACCESS_KEY.",
    fallback: undefined,
    secret: true,
    parse: text,
  }),
} as const;
