// The entry for browsers and bundlers: the wasm module is a file of its own.

import { Client, type ConnectOptions } from './client.js'
import { type Loader, type Ready, createLoader } from './loader.js'

export * from './index.js'

const loader: Loader = /* @__PURE__ */ createLoader(
  () => new URL('../wasm/coweave_bg.wasm', import.meta.url),
)

/** Loads the wasm module ahead of time, or from another place; `connect` does it by itself. */
export const ready: Ready = source => loader.ready(source)

/**
 * A client for a relay; it connects when its first room is opened. Throws `api.invalid_url` for what is
 * no ws:, wss:, http: or https: URL, and `api.wrong_type` for options that are none.
 */
export function connect(url: string | URL, options: ConnectOptions = {}): Client {
  return new Client({ module: loader.module, webSocket: globalThis.WebSocket }, url, options)
}
