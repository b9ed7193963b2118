// The baseline of includes: a bare Bun server that joins the same rows with one statement, and puts
// the children under their parents.
import { Database } from "bun:sqlite";
import { CHILDREN, commentRows, PARENTS, postRows } from "./include-rows.ts";

const [path = ":memory:"] = process.argv.slice(2);
const db = new Database(path, { create: true });
db.run("PRAGMA journal_mode = WAL");
db.run('CREATE TABLE "Post" (id TEXT PRIMARY KEY NOT NULL, title TEXT) STRICT, WITHOUT ROWID');
db.run(
  'CREATE TABLE "Comment" (id TEXT PRIMARY KEY NOT NULL, "postId" TEXT, text TEXT) STRICT, ' +
    "WITHOUT ROWID",
);
db.run('CREATE INDEX by_post ON "Comment" ("postId")');
db.transaction(() => {
  const post = db.prepare('INSERT INTO "Post" VALUES (?, ?)');
  for (const { id, title } of postRows()) post.run(id, title);
  const comment = db.prepare('INSERT INTO "Comment" VALUES (?, ?, ?)');
  for (const { id, postId, text } of commentRows()) comment.run(id, postId, text);
})();

interface Joined {
  readonly postId: string;
  readonly title: string;
  readonly id: string;
  readonly text: string;
}
const join = db.prepare<Joined, [number, number]>(
  'SELECT p.id AS "postId", p.title, c.id, c.text FROM ' +
    '(SELECT * FROM "Post" ORDER BY id LIMIT ?) AS p ' +
    'JOIN (SELECT *, ROW_NUMBER() OVER (PARTITION BY "postId" ORDER BY id) AS n FROM ' +
    '"Comment") AS c ON c."postId" = p.id WHERE c.n <= ? ORDER BY p.id, c.id',
);
const joinAll = db.prepare<Joined, [number]>(
  'SELECT p.id AS "postId", p.title, c.id, c.text FROM ' +
    '(SELECT * FROM "Post" ORDER BY id LIMIT ?) AS p ' +
    'JOIN "Comment" AS c ON c."postId" = p.id ORDER BY p.id, c.id',
);

const server = Bun.serve({
  port: 0,
  fetch: (request) => {
    const isLimited = new URL(request.url).pathname === "/limited";
    const posts = new Map<string, { id: string; title: string; comments: object[] }>();
    for (const { postId, title, id, text } of isLimited
      ? join.all(PARENTS, CHILDREN)
      : joinAll.all(PARENTS)) {
      let post = posts.get(postId);
      if (post === undefined) posts.set(postId, (post = { id: postId, title, comments: [] }));
      post.comments.push({ id, postId, text });
    }
    return Response.json([...posts.values()]);
  },
});
process.stdout.write(`${server.url.href}\n`);
