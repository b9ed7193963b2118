/** Returns the token of `Authorization: Bearer <token>`, or null. */
export function bearerToken(headers: Headers): string | null {
  const header = headers.get("authorization");
  if (header === null || !/^bearer /i.test(header)) return null;
  const token = header.slice("bearer ".length).trim();
  return token === "" ? null : token;
}
