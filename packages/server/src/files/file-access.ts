import type { Caller } from "../identity/identity.ts";
import type { FileRecord } from "../data/file-record.ts";
import type { DataModel } from "../data/model.ts";
import { RuleEnv } from "../data/rules.ts";
import type { RequestContext } from "../request/context.ts";
import type { RequestReader } from "../request/reading.ts";
import type { FileSettings } from "./file-settings.ts";

/** The services that decide who may access a file. */
export interface FileAccessServices {
  readonly reader: RequestReader;
  readonly model: () => DataModel;
  readonly now: () => number;
  readonly read: FileSettings["read"];
}

/** Decides who may access a file. */
export class FileAccess {
  readonly #services: FileAccessServices;

  constructor(services: FileAccessServices) {
    this.#services = services;
  }

  /** The admin and the owner may delete a file and finish its upload. */
  mayManage(file: FileRecord, caller: Caller): boolean {
    return caller.isAdmin || (caller.userId !== null && caller.userId === file.ownerId);
  }

  /**
   * In addition to them, anyone who may read the current row that contains the file may read it.
   */
  async mayRead(file: FileRecord, context: RequestContext): Promise<boolean> {
    const { caller } = context;
    if (this.mayManage(file, caller)) return true;
    if (file.linkedRow !== null) return this.#mayReadRow(file, file.linkedRow, context);
    return (
      file.boundField === null && caller.userId !== null && this.#services.read === "signed-in"
    );
  }

  async #mayReadRow(
    { id, boundEntity, boundField }: FileRecord,
    rowId: string,
    context: RequestContext,
  ): Promise<boolean> {
    const { model, now } = this.#services;
    const reader = this.#services.reader(context);
    const { schema, rules } = model();
    // A field that the schema no longer has grants no access.
    const entity = boundEntity === null ? undefined : schema.find(boundEntity);
    const field = entity?.fileFields.find(({ name }) => name === boundField);
    if (entity === undefined || field === undefined) return false;
    if (!rules.seenBy(entity, context.caller).publicShape.fields.has(field.name)) return false;
    const row = await reader.get(entity.name, rowId);
    if (row === null || row[field.name] !== id) return false;
    return rules.allows(reader, entity.name, "read", new RuleEnv(context.caller, now(), row));
  }
}
