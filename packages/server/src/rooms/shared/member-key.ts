/** Identifies a member: a user in a room. */
export interface MemberName {
  readonly room: string;
  readonly userId: string;
}

/** A unique text for a member. */
export function memberKey({ room, userId }: MemberName): string {
  return JSON.stringify([room, userId]);
}
