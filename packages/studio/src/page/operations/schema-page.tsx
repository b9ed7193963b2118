import type { ReactElement } from "react";
import { useStudio } from "../context.ts";
import type { App, Entity, Field } from "../model.ts";

/** The entities with their fields, indexes and policies, as the server uses them. */
export function SchemaPage(): ReactElement {
  const { app } = useStudio();
  return (
    <section>
      <h1>Schema and policies</h1>
      {app.entities.map((entity) => (
        <EntitySchema key={entity.name} entity={entity} policies={app.policies} />
      ))}
    </section>
  );
}

interface EntitySchemaProps {
  readonly entity: Entity;
  readonly policies: App["policies"];
}

function EntitySchema({ entity, policies }: EntitySchemaProps): ReactElement {
  const own = policies.filter((policy) => policy.entity === entity.name);
  return (
    <>
      <h2>{entity.name}</h2>
      <div className="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">Field</th>
              <th scope="col">Type</th>
              <th scope="col">Rules</th>
            </tr>
          </thead>
          <tbody>
            {entity.fields.map((field) => (
              <tr key={field.name}>
                <td>{field.name}</td>
                <td>
                  <code>{field.type}</code>
                </td>
                <td>{rulesOf(field)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {entity.indexes.length > 0 && (
        <p>
          Indexes:{" "}
          {entity.indexes
            .map(({ name, fields, unique }) => {
              return `${name} (${fields.join(", ")})${unique ? ", unique" : ""}`;
            })
            .join("; ")}
        </p>
      )}
      {own.length === 0 && <p>It has no policy: only functions and the admin use its rows.</p>}
      <dl>
        {own.map((policy) => (
          <div key={policy.name}>
            <dt>{policy.name}</dt>
            {rest(policy, ["name", "entity"]).map(([kind, rule]) => (
              <dd key={kind}>
                {kind}: <code>{typeof rule === "string" ? rule : JSON.stringify(rule)}</code>
              </dd>
            ))}
          </div>
        ))}
      </dl>
    </>
  );
}

/** Formats everything that is declared of a field, besides its name and type. */
function rulesOf(field: Field): string {
  return rest(field, ["name", "type"])
    .filter(([, value]) => value !== false)
    .map(([rule, value]) => (value === true ? rule : `${rule} ${JSON.stringify(value)}`))
    .join(", ");
}

/** Returns the declared properties besides those that are shown elsewhere. */
function rest(declared: object, shown: readonly string[]): [string, unknown][] {
  return Object.entries(declared).filter(([name]) => !shown.includes(name));
}
