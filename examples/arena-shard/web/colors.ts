import { MAX_PLAYERS } from "../game/rules.ts";

export const BACKGROUND = "#070a12";
export const FLOOR = "#0d1424";
export const GRID = "rgba(126, 150, 200, 0.07)";
export const EDGE = "#3c5385";
export const PILLAR = "#162038";
export const PILLAR_EDGE = "#41588c";
export const GEM = "#ffd166";
export const BOT = "#7486b3";
export const OWN = "#4cf0c5";
export const SERVER = "rgba(255, 107, 139, 0.9)";

/** The colour of a player, by place. */
export function colorOf(place: number, own: number): string {
  if (place === own) return OWN;
  if (place >= MAX_PLAYERS) return BOT;
  return `hsl(${(200 + place * 67) % 360} 90% 66%)`;
}
