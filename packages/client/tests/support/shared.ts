/** What all threads of a browser share without a message: the clock, the cookie jar, and who is frozen. */

const JAR_BYTES = 1_024;
const MAX_TABS = 8;

/** Places in `ints`. */
const LOCK = 0;
const LENGTH = 1;
const ACTIVITY = 2;
const FROZEN = 3;

/** Places in `floats`. */
const NOW = 0;
const DUE = 1;

export type Jar = Readonly<Record<string, string>>;

export interface Shared {
  readonly buffer: SharedArrayBuffer;
  readonly now: () => number;
  readonly setNow: (ms: number) => void;
  /** When the tab's next timer is due. */
  readonly due: (tab: number) => number;
  readonly setDue: (tab: number, ms: number) => void;
  readonly jar: () => Jar;
  readonly change: (how: (jar: Jar) => Jar) => void;
  /** Something happened: the world has not come to rest. */
  readonly stir: () => void;
  readonly stirred: () => number;
  readonly isFrozen: (tab: number) => boolean;
  readonly freeze: (tab: number) => void;
  readonly thaw: (tab: number) => void;
  /** Blocks the calling thread while its tab is frozen. */
  readonly sleep: (tab: number) => void;
}

export function share(
  buffer: SharedArrayBuffer = new SharedArrayBuffer(8 * (MAX_TABS + 1) + 64 + JAR_BYTES),
): Shared {
  const floats = new Float64Array(buffer, 0, MAX_TABS + 1);
  const ints = new Int32Array(buffer, 8 * (MAX_TABS + 1), 16);
  const bytes = new Uint8Array(buffer, 8 * (MAX_TABS + 1) + 64, JAR_BYTES);

  function alone<T>(work: () => T): T {
    while (Atomics.compareExchange(ints, LOCK, 0, 1) !== 0) Atomics.wait(ints, LOCK, 1, 1);
    try {
      return work();
    } finally {
      Atomics.store(ints, LOCK, 0);
      Atomics.notify(ints, LOCK);
    }
  }

  const read = (): Jar => JSON.parse(Buffer.from(bytes.slice(0, ints[LENGTH])).toString() || "{}");

  function write(jar: Jar): void {
    const text = Buffer.from(JSON.stringify(jar));
    bytes.set(text);
    ints[LENGTH] = text.length;
  }

  const set = (tab: number, frozen: 0 | 1): void => {
    Atomics.store(ints, FROZEN + tab, frozen);
    Atomics.notify(ints, FROZEN + tab);
  };

  return {
    buffer,
    now: () => floats[NOW] ?? 0,
    setNow: (ms) => floats.set([ms], NOW),
    due: (tab) => floats[DUE + tab] ?? Number.POSITIVE_INFINITY,
    setDue: (tab, ms) => floats.set([ms], DUE + tab),
    jar: () => alone(read),
    change: (how) => alone(() => write(how(read()))),
    stir: () => void Atomics.add(ints, ACTIVITY, 1),
    stirred: () => Atomics.load(ints, ACTIVITY),
    isFrozen: (tab) => Atomics.load(ints, FROZEN + tab) === 1,
    freeze: (tab) => set(tab, 1),
    thaw: (tab) => set(tab, 0),
    sleep: (tab) => void Atomics.wait(ints, FROZEN + tab, 1),
  };
}
