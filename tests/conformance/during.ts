/** Runs work with a connection, which is closed even if the work fails. */
export async function during<C extends { readonly close: () => void }>(
  connection: C,
  work: (connection: C) => Promise<void> | void,
): Promise<void> {
  try {
    await work(connection);
  } finally {
    connection.close();
  }
}
