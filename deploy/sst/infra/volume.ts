import type { Network } from "./network";
import type { Settings } from "./settings";

const NFS_PORT = 2049;
/** The user id in the image. */
const UID = 10001;
const PATH = "/data";

export interface Volume {
  readonly efs: sst.aws.Efs;
  readonly path: string;
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * A disk that outlives the container, for SQLite and files. Only the containers mount it, as the
 * image's user, in a separate folder.
 *
 * Production is backed up: AWS Backup copies the disk file by file while the server writes. In a
 * copy, the live database and its log may be inconsistent, but the server's own backups next to
 * them are complete. Two of these are enough on the disk, because AWS Backup keeps the older ones.
 */
export function createVolume({ vpc, tasks }: Network, { isProduction }: Settings): Volume {
  const efs = new sst.aws.Efs("Data", {
    vpc,
    transform: {
      fileSystem: (_args, opts) => {
        opts.retainOnDelete = isProduction;
      },
      accessPoint: (args) => {
        args.posixUser = { uid: UID, gid: UID };
        args.rootDirectory = {
          path: "/pylon",
          creationInfo: { ownerUid: UID, ownerGid: UID, permissions: "750" },
        };
      },
      securityGroup: (args) => {
        args.ingress = [
          { fromPort: NFS_PORT, toPort: NFS_PORT, protocol: "tcp", securityGroups: [tasks.id] },
        ];
        args.egress = [];
      },
    },
  });
  if (isProduction)
    new aws.efs.BackupPolicy("DataBackup", {
      fileSystemId: efs.id,
      backupPolicy: { status: "ENABLED" },
    });
  return {
    efs,
    path: PATH,
    environment: {
      PYLON_DB_PATH: `${PATH}/pylon.db`,
      PYLON_FILES_DIR: `${PATH}/uploads`,
      ...(isProduction ? { PYLON_BACKUP_DIR: `${PATH}/backups`, PYLON_BACKUP_KEEP: "2" } : {}),
    },
  };
}
