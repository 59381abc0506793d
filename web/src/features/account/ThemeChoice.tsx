import { Monitor, Moon, Sun } from "lucide-react";
import { type ReactElement, useState } from "react";
import { chooseTheme, currentTheme, type Theme } from "./theme.ts";

const CHOICES = [
  { theme: "system", label: "System", Icon: Monitor },
  { theme: "light", label: "Light", Icon: Sun },
  { theme: "dark", label: "Dark", Icon: Moon },
] as const satisfies readonly { theme: Theme; label: string; Icon: typeof Sun }[];

export function ThemeChoice(): ReactElement {
  const [chosen, setChosen] = useState(currentTheme);

  function choose(theme: Theme): void {
    chooseTheme(theme);
    setChosen(theme);
  }
  return (
    <fieldset>
      <legend className="sr-only">Theme</legend>
      <div className="grid grid-cols-3 gap-1 rounded-control bg-sunken p-1">
        {CHOICES.map(({ theme, label, Icon }) => (
          <label
            key={theme}
            className={`flex h-8 items-center justify-center gap-1 rounded-control text-sm transition-colors has-focus-visible:outline-2 has-focus-visible:outline-accent pointer-coarse:h-10 ${chosen === theme ? "border border-line bg-surface font-medium" : "text-ink-2 hover:text-ink"}`}
          >
            <input
              type="radio"
              name="theme"
              value={theme}
              checked={chosen === theme}
              onChange={() => choose(theme)}
              className="sr-only"
            />
            <Icon aria-hidden size={14} />
            {label}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
