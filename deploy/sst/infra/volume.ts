import type { Network } from "./network";
import type { Settings } from "./settings";

const NFS_PORT = 2049;
/** The user of the image. */
const UID = 10001;

/** A disk that outlives the container, for SQLite and files. Only the containers mount it, as the image's user, in a folder of its own. */
export function createVolume({ vpc, tasks }: Network, { isProduction }: Settings): sst.aws.Efs {
  const efs = new sst.aws.Efs("Data", {
    vpc,
    transform: {
      fileSystem: (_args, opts) => {
        opts.retainOnDelete = isProduction;
      },
      accessPoint: (args) => {
        args.posixUser = { uid: UID, gid: UID };
        args.rootDirectory = { path: "/pylon", creationInfo: { ownerUid: UID, ownerGid: UID, permissions: "750" } };
      },
      securityGroup: (args) => {
        args.ingress = [{ fromPort: NFS_PORT, toPort: NFS_PORT, protocol: "tcp", securityGroups: [tasks.id] }];
        args.egress = [];
      },
    },
  });
  // It copies file by file while the server writes: what is whole in it are the backups that `pylon backup` left on the disk, not the live database.
  if (isProduction) new aws.efs.BackupPolicy("DataBackup", { fileSystemId: efs.id, backupPolicy: { status: "ENABLED" } });
  return efs;
}
