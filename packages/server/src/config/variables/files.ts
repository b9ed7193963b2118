import { DEFAULT_GUEST_FILE_BYTES } from "@pylonsync/protocol";
import { GIB, httpUrl, oneOf, text, whole } from "./parsers.ts";
import { variable } from "./variable.ts";

/** Where files and backups are. */
export const FILES_VARIABLES = {
  PYLON_FILES_PROVIDER: variable<"local" | "s3">({
    wants: "local or s3",
    doc:
      "Where uploaded files are kept: in a folder of this machine, or in an S3 bucket. The " +
      "plugin `file_storage` may name another, see [files](files.md).",
    fallback: "local",
    parse: oneOf("local", "s3"),
  }),
  PYLON_FILES_DIR: variable<string | undefined>({
    wants: "a folder",
    doc:
      "Where `local` keeps files; by default `uploads` in the app's folder, for `pylon dev` " +
      "`.pylon/uploads`.",
    fallback: undefined,
    parse: text,
  }),
  PYLON_FILES_MAX_BYTES: variable({
    wants: "bytes from 1",
    doc: "Largest file, in bytes.",
    fallback: 5 * GIB,
    parse: whole(1, 5 * 1024 * GIB),
  }),
  PYLON_FILES_ORPHAN_HOURS: variable({
    wants: "hours from 1 to 8760",
    doc:
      "After how long an upload that was not finished, and a file that its row let go, is " +
      "deleted, in hours.",
    fallback: 24,
    parse: whole(1, 8760),
  }),
  PYLON_FILES_GUEST_BYTES: variable({
    wants: "bytes from 1",
    doc:
      "Bytes that a guest may have in files that no row holds. All guests of one address " +
      "together upload ten times as much in a day. Such files are deleted after " +
      "PYLON_FILES_ORPHAN_HOURS, unless the guest signs in.",
    fallback: DEFAULT_GUEST_FILE_BYTES,
    parse: whole(1, 5 * 1024 * GIB),
  }),
  PYLON_BACKUP_DIR: variable<string | undefined>({
    wants: "a folder",
    doc:
      "Where `pylon start` puts backups of SQLite and of files in a folder, each in a new folder " +
      "that is named by the time, see [operations](deploy/operations.md#back-up-and-restore). " +
      "Without it none are made.",
    fallback: undefined,
    parse: text,
  }),
  PYLON_BACKUP_HOURS: variable({
    wants: "hours from 1 to 8760",
    doc: "How long after a backup the next one is made, in hours.",
    fallback: 24,
    parse: whole(1, 8760),
  }),
  PYLON_BACKUP_KEEP: variable({
    wants: "a whole number from 1 to 10000",
    doc: "How many of the newest backups are kept there. Older ones go once a new one is whole.",
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
    doc: "The bucket's region; by default AWS_REGION, and without that `us-east-1`.",
    fallback: undefined,
    parse: text,
  }),
  PYLON_S3_ENDPOINT: variable<string | undefined>({
    wants: "a URL such as http://minio:9000",
    doc: "An S3 of another maker. Buckets are then addressed by path.",
    fallback: undefined,
    parse: httpUrl,
  }),
  PYLON_S3_ACCESS_KEY: variable<string | undefined>({
    wants: "an access key id",
    doc:
      "With PYLON_S3_SECRET_KEY. Without the pair the credentials are looked for as the AWS SDK " +
      "does it, an ECS task role among them.",
    fallback: undefined,
    parse: text,
  }),
  PYLON_S3_SECRET_KEY: variable<string | undefined>({
    wants: "a secret access key",
    doc: "Belongs to PYLON_S3_ACCESS_KEY.",
    fallback: undefined,
    secret: true,
    parse: text,
  }),
} as const;
