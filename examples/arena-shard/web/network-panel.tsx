import { useId } from "react";
import type { Settings } from "./game-client.ts";
import type { Hud } from "./use-game.ts";

export interface NetworkPanelProps {
  readonly settings: Settings;
  readonly onChange: (settings: Settings) => void;
  readonly hud: Hud | null;
}

/** Slows the network down, and shows the effects of prediction and interpolation. */
export function NetworkPanel({ settings, onChange, hud }: NetworkPanelProps) {
  const set = (changed: Partial<Settings>): void => onChange({ ...settings, ...changed });
  const { pingMs, loss, predicts, interpolates, showsServer } = settings;
  return (
    <section className="panel" aria-label="Network">
      <h2>Network</h2>
      <Slider
        label="Latency"
        value={pingMs}
        max={500}
        step={10}
        unit=" ms"
        onChange={(value) => set({ pingMs: value })}
      />
      <Slider
        label="Loss"
        value={Math.round(loss * 100)}
        max={20}
        step={1}
        unit=" %"
        onChange={(value) => set({ loss: value / 100 })}
      />
      <Check label="Prediction" isOn={predicts} onChange={(isOn) => set({ predicts: isOn })} />
      <Check
        label="Interpolation"
        isOn={interpolates}
        onChange={(isOn) => set({ interpolates: isOn })}
      />
      <Check
        label="Server's ships"
        isOn={showsServer}
        onChange={(isOn) => set({ showsServer: isOn })}
      />
      {hud !== null && (
        <dl className="stats" data-testid="stats">
          <Stat name="frames/s" value={hud.framesPerSecond} />
          <Stat name="moves ahead" value={hud.pending} />
          <Stat name="others behind" value={`${Math.round(hud.behindMs)} ms`} />
          <Stat name="hits (by rewinding)" value={`${hud.hits} (${hud.rewound})`} />
          <Stat name="correction" value={`${(hud.corrected / 10).toFixed(1)} px`} />
        </dl>
      )}
    </section>
  );
}

function Stat({ name, value }: { readonly name: string; readonly value: string | number }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

interface SliderProps {
  readonly label: string;
  readonly value: number;
  readonly max: number;
  readonly step: number;
  readonly unit: string;
  readonly onChange: (value: number) => void;
}

function Slider({ label, value, max, step, unit, onChange }: SliderProps) {
  const id = useId();
  return (
    <div className="slider">
      <label htmlFor={id}>{label}</label>
      <output htmlFor={id}>
        {value}
        {unit}
      </output>
      <input
        id={id}
        type="range"
        min={0}
        max={max}
        step={step}
        value={value}
        onChange={({ target }) => onChange(Number(target.value))}
        // Releases the focus, so that the keys steer the ship again.
        onPointerUp={({ currentTarget }) => currentTarget.blur()}
      />
    </div>
  );
}

interface CheckProps {
  readonly label: string;
  readonly isOn: boolean;
  readonly onChange: (isOn: boolean) => void;
}

function Check({ label, isOn, onChange }: CheckProps) {
  return (
    <label className="check">
      <input
        type="checkbox"
        checked={isOn}
        onChange={({ target }) => {
          onChange(target.checked);
          target.blur();
        }}
      />
      {label}
    </label>
  );
}
