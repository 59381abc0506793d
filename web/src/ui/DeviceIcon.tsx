import { Monitor, Smartphone, SquareTerminal, Tablet } from "lucide-react";
import type { ReactElement } from "react";

const KINDS = [
  { pattern: /ipad|tablet/i, Icon: Tablet },
  { pattern: /iphone|\bios\b|android|mobile/i, Icon: Smartphone },
  { pattern: /curl|wget|httpx|python|okhttp|node|go-http|cli/i, Icon: SquareTerminal },
] as const;

/** What a device is, from its name: "Firefox on Linux", "Safari on iPhone", "curl". */
export function DeviceIcon({
  device,
  size = 20,
}: {
  readonly device: string | null;
  readonly size?: number;
}): ReactElement {
  const Icon = KINDS.find(({ pattern }) => pattern.test(device ?? ""))?.Icon ?? Monitor;
  return <Icon aria-hidden size={size} strokeWidth={1.5} className="shrink-0" />;
}
