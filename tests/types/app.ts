import { v } from "@pylonsync/functions";
import { buildManifest, entity, field, relation } from "@pylonsync/sdk";

const Task = entity(
  "Task",
  {
    title: field.string(),
    rank: field.int().default(0),
    due: field.datetime().optional(),
    slug: field.string().readonly(),
    ownerId: field.string().owner(),
  },
  {
    timestamps: false,
    relations: [
      relation({ name: "tags", target: "Tag", field: "taskId", many: true }),
      relation({
        name: "bugs",
        target: "Bug",
        many: true,
        through: "Report",
        field: "taskId",
        targetField: "bugId",
      }),
    ],
  },
);
const Report = entity("Report", { taskId: field.id("Task"), bugId: field.id("Bug") });
const Bug = entity(
  "Bug",
  {
    state: field.enum(["open", "done"]).default("open"),
    bounty: field.decimal(12, 2).default("0"),
    severity: field.enum(["low", "high"]).optional(),
    site: field.url().optional(),
    pin: field.string().hidden(),
    labels: field.array(field.enum(["ui", "api"])).default([]),
    code: field.string().default(() => "b-1"),
    isPaid: field.bool().computed((row) => Number(row["bounty"]) > 0),
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
  timestamps: true,
  entities: [Task, Tag, Bug, Report],
});
export { Bug, Task };
