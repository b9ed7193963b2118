import { buildManifest, entity, field, relation } from "@pylonsync/sdk";

const Task = entity("Task", {
  title: field.string(),
  rank: field.int().default(0),
  due: field.datetime().optional(),
  slug: field.string().readonly(),
  ownerId: field.string().owner(),
});
const Tag = entity(
  "Tag",
  { name: field.string(), taskId: field.id("Task").optional() },
  { relations: [relation({ name: "task", target: "Task", field: "taskId" })] },
);

export default buildManifest({
  name: "types",
  version: "1.0.0",
  access: "public",
  entities: [Task, Tag],
});
export { Task };
