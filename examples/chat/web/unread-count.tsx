import { db } from "@pylonsync/react";

const MAX_COUNTED = 9;

export interface UnreadCountProps {
  readonly channelId: string;
  readonly userId: string;
  readonly readAt: string;
}

/**
 * The number of others' messages that are newer than the read mark. It queries ten, to show "9+".
 */
export function UnreadCount({ channelId, userId, readAt }: UnreadCountProps) {
  const { data } = db.useQuery("Message", {
    where: { channelId, parentId: null, createdAt: { $gt: readAt }, authorId: { $ne: userId } },
    orderBy: { createdAt: "asc" },
    limit: MAX_COUNTED + 1,
  });
  if (data.length === 0) return null;
  const count = data.length > MAX_COUNTED ? `${MAX_COUNTED}+` : String(data.length);
  return (
    <span className="badge">
      {count}
      <span className="for-screen-readers"> unread</span>
    </span>
  );
}
