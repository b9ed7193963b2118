import { db } from "@pylonsync/react";
import { useState } from "react";
import type { Mode } from "../game/rules.ts";
import { GameScreen } from "./game-screen.tsx";
import { ReplayScreen } from "./replay-screen.tsx";
import type { RecordedRound } from "./recorded-round.ts";
import { SignIn } from "./sign-in.tsx";

/** Signs in, then shows the game or a recording. */
export function App() {
  const { isLoaded, userId } = db.useSession();
  const { data, isComplete } = db.useQuery("Pilot", { where: { userId: userId ?? "" }, limit: 1 });
  // Only initially: a pilot who has just chosen a name stays on the page with the name field.
  const isUnknown = !isLoaded || (userId !== null && !isComplete && data.length === 0);
  const [mode, setMode] = useState<Mode>("classic");
  const [isWatching, setIsWatching] = useState(false);
  const [attempt, setAttempt] = useState(0);
  const [replay, setReplay] = useState<RecordedRound | null>(null);
  if (userId === null || data.length === 0) return <SignIn isLoading={isUnknown} />;
  if (replay !== null) return <ReplayScreen recording={replay} onClose={() => setReplay(null)} />;
  return (
    <GameScreen
      key={`${mode} ${isWatching} ${attempt}`}
      isWatching={isWatching}
      onWatch={setIsWatching}
      userId={userId}
      mode={mode}
      onMode={setMode}
      onReplay={setReplay}
      onAgain={() => setAttempt(attempt + 1)}
    />
  );
}
