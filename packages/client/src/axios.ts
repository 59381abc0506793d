import type { AxiosInstance } from "axios";
import type { Session } from "./types.ts";

/** Lets every request of this axios instance go out with the session's token; returns the instance. */
export declare function attach(axios: AxiosInstance, session: Session): AxiosInstance;
