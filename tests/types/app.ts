import { v } from "@pylonsync/functions";
import { buildManifest, entity, field, relation } from "@pylonsync/sdk";

const Task = entity("Task", {
  title: field.string(),
  rank: field.int().default(0),
  due: field.datetime().optional(),
  slug: field.string().readonly(),
  ownerId: field.string().owner(),
});
const Bug = entity(
  "Bug",
  {
    state: field.enum(["open", "done"]).default("open"),
    severity: field.enum(["low", "high"]).optional(),
    site: field.url().optional(),
    pin: field.string().hidden(),
    labels: field.array(field.enum(["ui", "api"])).default([]),
    place: field.json(v.object({ file: v.string(), line: v.optional(v.int()) })).optional(),
  },
  { timestamps: true },
);
const Tag = entity(
  "Tag",
  { name: field.string(), taskId: field.id("Task").optional() },
  { relations: [relation({ name: "task", target: "Task", field: "taskId" })] },
);

export default buildManifest({
  name: "types",
  version: "1.0.0",
  access: "public",
  entities: [Task, Tag, Bug],
});
export { Bug, Task };
