/** Names a member: a user in a room. */
export interface MemberName {
  readonly room: string;
  readonly userId: string;
}

/** A member's name as one text, different for different members. */
export function memberKey({ room, userId }: MemberName): string {
  return JSON.stringify([room, userId]);
}
