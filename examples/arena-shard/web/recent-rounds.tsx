import { db } from "@pylonsync/react";
import { useState, type ChangeEvent } from "react";
import { loadRound, readRound, type EndedRound, type RecordedRound } from "./recorded-round.ts";

const SHOWN = 4;

/** The newest rounds, which can be watched again; also plays one from a file. */
export function RecentRounds({
  onReplay,
}: {
  readonly onReplay: (recording: RecordedRound) => void;
}) {
  const [error, setError] = useState<string | null>(null);
  const { data: rounds } = db.useQuery("Round", { orderBy: { endedAt: "desc" }, limit: SHOWN });
  const show = async (loaded: () => Promise<RecordedRound>): Promise<void> => {
    setError(null);
    try {
      onReplay(await loaded());
    } catch (cause) {
      setError(cause instanceof Error ? cause.message : String(cause));
    }
  };
  const watch = (round: EndedRound): Promise<void> =>
    show(() => loadRound(round, db.sync.session.token ?? ""));
  const open = ({ target }: ChangeEvent<HTMLInputElement>): Promise<void> =>
    show(async () => readRound((await target.files?.[0]?.text()) ?? ""));
  return (
    <section className="panel" aria-label="Replays">
      <h2>Replays</h2>
      <ul className="rounds">
        {rounds.map((round) => (
          <li key={round.id}>
            <button
              onClick={() => void watch(round)}
              aria-label={`Watch the round of ${round.winner}`}
            >
              <span className="play">▶</span>
              <span className="name">{round.winner}</span>
              <span className="muted">{round.mode}</span>
              <b>{round.gems}</b>
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
