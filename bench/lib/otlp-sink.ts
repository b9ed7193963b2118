// Accepts everything that is exported, in a separate process, and ignores the content.
const server = Bun.serve({
  port: 0,
  fetch: async (request) => {
    await request.arrayBuffer();
    return new Response(null, { status: 200 });
  },
});
process.stdout.write(`${server.url.href}\n`);
