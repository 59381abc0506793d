/** The Lab's bench: does each step's harm for real, and writes down what comes of it. */
import { SessionExpiredError } from "@batonpass/client";
import { useSession } from "@batonpass/react";
import { useEffect, useReducer, useRef, useState } from "react";
import {
  generationNow,
  hasRefreshed,
  letAnHourPass,
  presentStolen,
  stealToken,
  tapWire,
  until,
  type Wire,
} from "../../api/lab.ts";
import { aboutClient, add, empty, type Fact, type Row } from "./timeline.ts";

export type StepName = "expire" | "fire" | "lose" | "lose-long" | "steal" | "replay";

export interface Lab {
  readonly rows: readonly Row[];
  /** The step under way. */
  readonly busy: StepName | null;
  readonly canReplay: boolean;
  /** A step did not get through. */
  readonly failed: boolean;
  readonly run: (step: StepName) => void;
}

const AT_ONCE = 20;

export function useLab(): Lab {
  const { session } = useSession();
  const [{ rows }, note] = useReducer(add, null, () => empty(generationNow()));
  const [busy, setBusy] = useState<StepName | null>(null);
  const [failed, setFailed] = useState(false);
  const [stolen, setStolen] = useState<string | null>(null);
  const wire = useRef<Wire>(null);
  const tell = useRef<(fact: Fact) => void>(note);

  useEffect(() => {
    const channel = new BroadcastChannel("batonpass:lab");
    channel.onmessage = ({ data }: MessageEvent<Fact>) => note(asSeenFromHere(data));
    tell.current = (fact) => {
      note(fact);
      channel.postMessage(fact);
    };
    const who = "this tab";
    const tap = tapWire({
      refreshed: (presented, answer, lost) =>
        tell.current({ type: "refresh", who, presented, answer, lost }),
      asked: (answer) => tell.current({ type: "request", who, answer }),
    });
    wire.current = tap;
    const unsubscribe = session.subscribe(() => {
      const meaning = aboutClient(session.getSnapshot());
      if (meaning) tell.current({ type: "client", who, ...meaning });
    });
    if ("sessionId" in session.getSnapshot()) channel.postMessage(arrival());
    return () => {
      unsubscribe();
      tap.remove();
      tell.current = note;
      channel.close();
    };
  }, [session]);

  const step = (said: string): void => note({ type: "step", said });

  /** Spoils this tab's access token; returns it as it was, which the server still takes. */
  async function spoil(): Promise<string> {
    const token = await session.token();
    if (token === null) throw new Error("Nobody is signed in.");
    wire.current?.spoil(token);
    return token;
  }

  /** An ending or a lost answer is what the Lab is for: neither is a failure of it. */
  async function ask(times = 1): Promise<void> {
    await Promise.allSettled(Array.from({ length: times }, () => wire.current?.ask()));
  }

  async function anHourLater(said: string): Promise<void> {
    step(said);
    await letAnHourPass(await spoil());
    await ask();
  }

  /** The next answer gets lost; the client asks again by itself, and then has what it wanted. */
  async function loseOne(meanwhile?: () => Promise<void>): Promise<void> {
    wire.current?.loseNext(meanwhile);
    await ask();
    await until("authenticated", "expired", "anonymous");
    await ask();
  }

  const steps: Readonly<Record<StepName, () => Promise<void>>> = {
    async expire() {
      step("This tab's access token counts no more.");
      await spoil();
    },
    async fire() {
      step(`${AT_ONCE} requests at once.`);
      await ask(AT_ONCE);
    },
    async lose() {
      step("The access token counts no more, and the next answer gets lost.");
      await spoil();
      await loseOne();
    },
    async "lose-long"() {
      step("The access token counts no more, and the next answer gets lost.");
      const token = await spoil();
      await loseOne(async () => {
        step("An hour goes by before the client can ask again.");
        await letAnHourPass(token);
      });
    },
    async steal() {
      const generation = generationNow();
      step(`The cookie is copied${generation === null ? "" : `: token ${generation}`}.`);
      setStolen(await stealToken());
      await anHourLater("An hour goes by. You go on working.");
      await anHourLater("Another hour goes by.");
    },
    async replay() {
      step("The thief comes, from another device.");
      const answer = await presentStolen(stolen ?? "");
      setStolen(null);
      tell.current({ type: "refresh", who: "the thief", presented: null, answer });
      step("You come back.");
      await ask();
    },
  };

  async function run(name: StepName): Promise<void> {
    setBusy(name);
    setFailed(false);
    try {
      await steps[name]();
    } catch (error) {
      setFailed(!(error instanceof SessionExpiredError));
    } finally {
      setBusy(null);
    }
  }

  return { rows, busy, canReplay: stolen !== null, failed, run: (name) => void run(name) };
}

const asSeenFromHere = (fact: Fact): Fact =>
  fact.type !== "step" && fact.who === "this tab" ? { ...fact, who: "another tab" } : fact;

/** What the tabs that are open already are told by a new one. */
const arrival = (): Fact => ({
  type: "client",
  who: "this tab",
  tone: "ok",
  said: hasRefreshed()
    ? "Opened, with a refresh of its own."
    : "Opened: it asked for your tab's token, and needed no refresh.",
});
