/** Works with a connection, which is closed however the work ends. */
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
