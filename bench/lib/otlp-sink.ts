// Takes whatever is exported, in a process of its own, and looks at none of it.
const server = Bun.serve({
  port: 0,
  fetch: async (request) => {
    await request.arrayBuffer();
    return new Response(null, { status: 200 });
  },
});
process.stdout.write(`${server.url.href}\n`);
