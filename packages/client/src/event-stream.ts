/**
 * The text of a stream of server-sent events, as it comes in pieces.
 *
 * Source: HTML Standard, 9.2.6 "Interpreting an event stream".
 */

/** A CR at the end of a piece may be the first half of a CRLF: it waits for the next. */
const LINE_END = /\r\n|\n|\r(?=.)/s;

export interface StreamReader {
  readonly read: (text: string) => void;
  /** Of the last whole event; sent back when the connection is made again. */
  readonly lastEventId: () => string;
  /** How long the server wants us to stay away; null: it did not say. */
  readonly retryInMs: () => number | null;
}

export function createStreamReader(
  tell: (type: string, data: string, lastEventId: string) => void,
): StreamReader {
  let rest = "";
  let type = "";
  let data: string[] = [];
  let id = "";
  let lastEventId = "";
  let retryInMs: number | null = null;

  function endEvent(): void {
    lastEventId = id;
    if (data.length > 0) tell(type || "message", data.join("\n"), lastEventId);
    type = "";
    data = [];
  }

  function readLine(line: string): void {
    if (line === "") endEvent(); // which has no field
    const [, field, value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === "event") type = value;
    if (field === "data") data.push(value);
    if (field === "id" && !value.includes("\0")) id = value;
    if (field === "retry" && /^\d+$/.test(value)) retryInMs = Number(value);
  }

  return {
    read(text) {
      const lines = (rest + text).split(LINE_END);
      rest = lines.pop() ?? "";
      for (const line of lines) readLine(line);
    },
    lastEventId: () => lastEventId,
    retryInMs: () => retryInMs,
  };
}
