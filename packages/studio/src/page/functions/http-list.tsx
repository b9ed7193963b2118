import type { ReactElement } from "react";
import { Problem } from "../parts.tsx";
import { useLoaded } from "../use-loaded.ts";
import { accessText, type HttpFunctionInfo } from "./http-info.ts";

/** The app's HTTP functions: which requests they handle, and who may send them. */
export function HttpList(): ReactElement | null {
  const { data, error } = useLoaded<readonly HttpFunctionInfo[]>("/api/fn/http");
  if (error === null && (data === undefined || data.length === 0)) return null;
  return (
    <>
      <h2>HTTP functions</h2>
      <Problem error={error} />
      <div className="scroll" tabIndex={0} role="region" aria-label="HTTP functions">
        <table>
          <thead>
            <tr>
              <th scope="col">Method</th>
              <th scope="col">Path</th>
              <th scope="col">Who may call it</th>
              <th scope="col">Function</th>
            </tr>
          </thead>
          <tbody>
            {data?.map((info) => (
              <tr key={info.name}>
                <td>{info.methods}</td>
                <td>
                  <code>{info.path}</code>
                </td>
                <td>{accessText(info)}</td>
                <td>{info.name}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
