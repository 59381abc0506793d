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
import { codeIn, withToken } from "./attempts.ts";
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

async function sendWithToken(
  session: Session,
  config: InternalAxiosRequestConfig,
  adapter: AxiosAdapter,
): Promise<AxiosResponse> {
  const signal = signalOf(config);
  const sent = await inBytes(config);
  const answer = await withToken(session, {
    isSentOnce: isStream(config.data),
    signal,
    send: (token) => attempt(config, sent, adapter, token),
    refusal: async ({ response }) =>
      response?.status === 401 ? await codeOf(response) : undefined,
    patiently: (wait) => noLongerThan(config, signal, wait),
  });
  return answer.settle();
}

interface Attempt {
  readonly response: AxiosResponse | undefined;
  /** What the adapter did, as axios expects it. */
  readonly settle: () => Promise<AxiosResponse>;
}

/** A form as the bytes that it becomes: else each try would have a boundary of its own. */
async function inBytes(config: InternalAxiosRequestConfig): Promise<InternalAxiosRequestConfig> {
  if (!(config.data instanceof FormData)) return config;
  const form = new Response(config.data);
  const headers = new AxiosHeaders(config.headers);
  headers.set("Content-Type", form.headers.get("Content-Type"));
  return { ...config, headers, data: await form.blob() };
}

async function attempt(
  config: InternalAxiosRequestConfig,
  sent: InternalAxiosRequestConfig,
  send: AxiosAdapter,
  token: string | null,
): Promise<Attempt> {
  // A copy: the caller's config, which errors show and loggers print, never holds the token.
  const headers = new AxiosHeaders(sent.headers);
  if (token !== null) headers.set("Authorization", `Bearer ${token}`);
  try {
    const response = await send({ ...sent, headers });
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
  const isRaw = data instanceof Blob || data instanceof ArrayBuffer || ArrayBuffer.isView(data);
  return codeIn(isRaw ? await new Response(data as BodyInit).text() : data);
}

function signalOf({ signal, cancelToken }: InternalAxiosRequestConfig): AbortSignal | undefined {
  const legacy = cancelToken && new AbortController();
  if (legacy) void cancelToken.promise.then((reason) => legacy.abort(reason));
  return anyOf(signal as AbortSignal | undefined, legacy?.signal);
}

/** The caller's timeout holds for the queue too; each try has it once more, as axios has it. */
async function noLongerThan<T>(
  config: InternalAxiosRequestConfig,
  signal: AbortSignal | undefined,
  wait: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  const { timeout, timeoutErrorMessage, transitional } = config;
  const patience = timeout ? AbortSignal.timeout(timeout) : undefined;
  try {
    return await wait(anyOf(signal, patience));
  } catch (error) {
    if (error !== patience?.reason || !patience?.aborted) throw error;
    throw new AxiosError(
      timeoutErrorMessage ?? `timeout of ${timeout}ms exceeded`,
      transitional?.clarifyTimeoutError ? AxiosError.ETIMEDOUT : AxiosError.ECONNABORTED,
      config,
    );
  }
}

function anyOf(...signals: readonly (AbortSignal | undefined)[]): AbortSignal | undefined {
  const all = signals.filter((one) => one !== undefined);
  return all.length > 0 ? AbortSignal.any(all) : undefined;
}

function isStream(data: unknown): boolean {
  const body = data as { getReader?: unknown; pipe?: unknown } | null | undefined;
  return typeof body?.getReader === "function" || typeof body?.pipe === "function";
}
