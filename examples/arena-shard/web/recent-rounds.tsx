import { db } from "@pylonsync/react";
import { useEffect, useState, type ChangeEvent } from "react";
import { readRecording, type NamedRecording } from "../game/recording.ts";

const SHOWN = 4;

/** The newest rounds, to be watched again; or one from a file. */
export function RecentRounds({
  onReplay,
}: {
  readonly onReplay: (recording: NamedRecording) => void;
}) {
  const [chosen, setChosen] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const { data: rounds } = db.useQuery("Round", { orderBy: { endedAt: "desc" }, limit: SHOWN });
  const { data: replays } = db.useQuery("Replay", { where: { roundId: chosen ?? "" }, limit: 1 });
  const [replay] = replays;
  const show = (value: unknown): void => {
    try {
      onReplay(readRecording(value));
    } catch (cause) {
      setError(cause instanceof Error ? cause.message : String(cause));
    }
  };
  useEffect(() => {
    if (replay !== undefined && replay.roundId === chosen) show(replay.recording);
  }, [replay, chosen]);
  const open = async ({ target }: ChangeEvent<HTMLInputElement>): Promise<void> => {
    const text = (await target.files?.[0]?.text()) ?? "";
    try {
      show(JSON.parse(text));
    } catch {
      setError("This file is not JSON.");
    }
  };
  return (
    <section className="panel" aria-label="Replays">
      <h2>Replays</h2>
      <ul className="rounds">
        {rounds.map(({ id, winner, gems, mode }) => (
          <li key={id}>
            <button onClick={() => setChosen(id)} aria-label={`Watch the round of ${winner}`}>
              <span className="play">▶</span>
              <span className="name">{winner}</span>
              <span className="muted">{mode}</span>
              <b>{gems}</b>
            </button>
          </li>
        ))}
      </ul>
      <label className="file">
        Open a recording…
        <input type="file" accept="application/json" onChange={(event) => void open(event)} />
      </label>
      {error !== null && (
        <p className="error" role="alert">
          {error}
        </p>
      )}
    </section>
  );
}
