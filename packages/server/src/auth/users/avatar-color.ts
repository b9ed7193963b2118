import { hashOf } from "../security/secrets.ts";

/** Dark enough for white letters on top. */
const COLORS = [
  "#b91c1c",
  "#c2410c",
  "#a16207",
  "#4d7c0f",
  "#15803d",
  "#0f766e",
  "#0369a1",
  "#4338ca",
  "#7e22ce",
  "#be185d",
] as const;

/** Returns a colour for users without a picture: always the same one of ten for the same text. */
export function avatarColorOf(text: string): string {
  const number = Number.parseInt(hashOf(text).slice(0, 8), 16);
  return COLORS[number % COLORS.length] ?? COLORS[0];
}
