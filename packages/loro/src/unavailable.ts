/** The error of everything that requires documents, which the server does not support. */
export function unavailable(name: string): Error {
  return new Error(
    `${name} of @pylonsync/loro needs collaborative documents, which this version of ` +
      "Pylon does not support: store the text in a field, and write it with db.update.",
  );
}
