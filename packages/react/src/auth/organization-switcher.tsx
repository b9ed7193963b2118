import type { SyncEngine } from "@pylonsync/sync";
import { useCallback, useState, type ReactElement, type ReactNode } from "react";
import { useEngine } from "../provider.tsx";
import { useSession } from "../session.ts";
import type { AuthCallOptions } from "./calls.ts";
import { Field, Form } from "./form.tsx";
import { useLoaded } from "./loaded.ts";
import {
  createOrganization,
  listOrganizations,
  selectOrganization,
  type UserOrganization,
} from "./organization-calls.ts";
import { usePanel, type Panel } from "./panel.ts";

/** Props of `OrganizationSwitcher`. */
export interface OrganizationSwitcherProps extends AuthCallOptions {
  /** Whether the user may create an organization here. Default true. */
  readonly canCreate?: boolean;
  /** The label for working outside all organizations; null: this can't be selected. */
  readonly personalLabel?: string | null;
  /** Called after a change, with the organization's id, or null for none. */
  readonly onChange?: (organizationId: string | null) => void;
}

/**
 * A button with the session's organization, and a panel to switch to another or to create one.
 * Renders nothing for guests and signed-out visitors.
 *
 * @example
 * <OrganizationSwitcher personalLabel="My own notes" />;
 */
export function OrganizationSwitcher({
  sync: given,
  ...props
}: OrganizationSwitcherProps): ReactElement | null {
  const sync = useEngine(given);
  const { userId, isGuest } = useSession(sync);
  if (userId === null || isGuest) return null;
  return <Switcher key={userId} {...props} sync={sync} />;
}

function Switcher({
  sync,
  canCreate = true,
  personalLabel = "Personal",
  onChange,
}: OrganizationSwitcherProps & { readonly sync: SyncEngine }): ReactElement {
  const { tenantId } = useSession(sync);
  const panel = usePanel();
  const { data, problem, after } = useLoaded(
    useCallback(() => listOrganizations({ sync }), [sync]),
  );
  const go = async (id: string | null): Promise<void> => {
    await selectOrganization(id, { sync });
    panel.close();
    onChange?.(id);
  };
  const create = async (name: string): Promise<void> => {
    await go((await createOrganization(name, { sync })).id);
    after(() => Promise.resolve());
  };
  const current = data?.find(({ id }) => id === tenantId);
  const name = current?.name ?? personalLabel ?? "Select an organization";
  return (
    <div className="pylon-user" ref={panel.box} onKeyDown={panel.onKeyDown}>
      <button
        ref={panel.button}
        type="button"
        className="pylon-button pylon-plain pylon-switch"
        aria-expanded={panel.isOpen}
        aria-controls={panel.id}
        aria-label={`Organization: ${name}`}
        aria-busy={data === null && problem === null}
        onClick={panel.toggle}
      >
        <span>{name}</span>
      </button>
      <SwitcherPanel panel={panel}>
        <Choices
          organizations={data ?? []}
          personalLabel={personalLabel}
          tenantId={tenantId}
          onChoose={(id) => after(() => go(id))}
        />
        <p className="pylon-error" role="alert">
          {problem}
        </p>
        {canCreate && <CreateForm onCreate={create} />}
      </SwitcherPanel>
    </div>
  );
}

function SwitcherPanel({
  panel: { id, side, isOpen, content },
  children,
}: {
  readonly panel: Panel;
  readonly children: ReactNode;
}): ReactElement {
  return (
    <div ref={content} id={id} className="pylon-panel" data-side={side} hidden={!isOpen}>
      {children}
    </div>
  );
}

interface ChoicesProps {
  readonly organizations: readonly UserOrganization[];
  readonly personalLabel: string | null;
  readonly tenantId: string | null;
  readonly onChoose: (id: string | null) => void;
}

function Choices({ organizations, personalLabel, tenantId, onChoose }: ChoicesProps): ReactElement {
  const choices: readonly { id: string | null; name: string; role?: string }[] = [
    ...(personalLabel === null ? [] : [{ id: null, name: personalLabel }]),
    ...organizations,
  ];
  return (
    <ul className="pylon-choices" aria-label="Organizations">
      {choices.map(({ id, name, role }) => (
        <li key={id}>
          <button
            type="button"
            className="pylon-choice"
            aria-current={id === tenantId}
            onClick={() => onChoose(id)}
          >
            <span>{name}</span>
            {role !== undefined && <small>{role}</small>}
          </button>
        </li>
      ))}
    </ul>
  );
}

function CreateForm({
  onCreate,
}: {
  readonly onCreate: (name: string) => Promise<void>;
}): ReactElement {
  const [isOpen, setOpen] = useState(false);
  if (!isOpen)
    return (
      <button type="button" className="pylon-button pylon-plain" onClick={() => setOpen(true)}>
        Create an organization
      </button>
    );
  const create = async (name: string): Promise<void> => {
    await onCreate(name);
    setOpen(false);
  };
  return (
    <Form action="Create" onSend={({ name = "" }) => create(name)}>
      <Field label="Organization name" name="name" autoComplete="organization" isFirst />
    </Form>
  );
}
