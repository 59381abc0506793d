import type { Session, SessionOptions } from "./types.ts";

export declare function createSession(options?: SessionOptions): Session;
