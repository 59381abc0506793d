/**
 * The binding to axios: an adapter around the adapter.
 *
 * So the body that is sent again is byte for byte the one that was sent first (transformRequest has run, and
 * runs once), interceptors run once a request, and axios itself turns an abort into its CanceledError.
 */
import {
  type AxiosAdapter,
  AxiosError,
  AxiosHeaders,
  type AxiosInstance,
  type AxiosResponse,
  getAdapter,
  type InternalAxiosRequestConfig,
} from "axios";
import type { Session } from "./types.ts";

/** Lets every request of this axios instance go out with the session's token; returns the instance. */
export function attach<Instance extends AxiosInstance>(
  axios: Instance,
  session: Session,
): Instance {
  axios.interceptors.request.use((config) => {
    const inner = config.adapter;
    // Where a retry plugin sends it again, `inner` is one of ours already: to that the token, which is then
    // in the headers, looks like the caller's own.
    config.adapter = (request) => {
      const send = getAdapter(inner, request);
      const isOurs = session.covers(axios.getUri(request)) && !request.headers.has("Authorization");
      return isOurs ? sendWithToken(session, request, send) : send(request);
    };
    return config;
  });
  return axios;
}

/** One try, and after a refresh a second one. */
async function sendWithToken(
  session: Session,
  config: InternalAxiosRequestConfig,
  send: AxiosAdapter,
): Promise<AxiosResponse> {
  const signal = signalOf(config);
  const once = isSentOnce(config.data);
  const token = await session.token({ minLife: once, ...(signal && { signal }) });
  const first = await attempt(config, send, token);
  if (first.response?.status !== 401) return first.settle();
  const decision = session.refused({ sentWith: token, code: await codeOf(first.response) }, signal);
  if (once) {
    decision.catch(() => {}); // the refresh goes on for the requests to come
    return first.settle();
  }
  const newer = await decision;
  if (newer === null) return first.settle();
  const second = await attempt(config, send, newer);
  if (second.response?.status === 401) session.refusedAgain(newer);
  return second.settle();
}

interface Attempt {
  readonly response: AxiosResponse | undefined;
  /** What the adapter did, as axios expects it. */
  readonly settle: () => Promise<AxiosResponse>;
}

async function attempt(
  config: InternalAxiosRequestConfig,
  send: AxiosAdapter,
  token: string | null,
): Promise<Attempt> {
  // A copy: the caller's config, which errors show and loggers print, never holds the token.
  const headers = new AxiosHeaders(config.headers);
  if (token !== null) headers.set("Authorization", `Bearer ${token}`);
  try {
    const response = await send({ ...config, headers });
    response.config = config;
    return { response, settle: async () => response };
  } catch (error) {
    if (error instanceof AxiosError) {
      error.config = config;
      if (error.response) error.response.config = config;
    }
    const { response } = error as { response?: AxiosResponse };
    return { response, settle: () => Promise.reject(error) };
  }
}

/** `code` of the answer's JSON, whatever type the caller asked for. */
async function codeOf({ data }: AxiosResponse): Promise<string | null> {
  try {
    const isRaw = data instanceof Blob || data instanceof ArrayBuffer || ArrayBuffer.isView(data);
    const body: unknown = isRaw ? await new Response(data as BodyInit).text() : data;
    const json = typeof body === "string" ? JSON.parse(body) : body;
    return typeof json?.code === "string" ? json.code : null;
  } catch {
    return null;
  }
}

function signalOf({ signal, cancelToken }: InternalAxiosRequestConfig): AbortSignal | undefined {
  const legacy = cancelToken && new AbortController();
  if (legacy) void cancelToken.promise.then((reason) => legacy.abort(reason));
  const all = [signal as AbortSignal | undefined, legacy?.signal].filter(
    (one) => one !== undefined,
  );
  return all.length > 0 ? AbortSignal.any(all) : undefined;
}

/** A stream: what has been read of it cannot be sent a second time. */
function isSentOnce(data: unknown): boolean {
  const body = data as { getReader?: unknown; pipe?: unknown } | null | undefined;
  return typeof body?.getReader === "function" || typeof body?.pipe === "function";
}
