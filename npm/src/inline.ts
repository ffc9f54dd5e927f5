// The entry for everything that cannot serve a wasm file: the module is in the code.

import { base64 } from '../wasm/coweave_inline.js'
import { Client, type ConnectOptions } from './client.js'
import { type Loader, type Ready, createLoader } from './loader.js'

export * from './index.js'

const loader: Loader = /* @__PURE__ */ createLoader(() =>
  Uint8Array.from(atob(base64), character => character.charCodeAt(0)),
)

/** Loads the wasm module ahead of time; `connect` does it by itself. */
export const ready: Ready = source => loader.ready(source)

/**
 * A client for a relay; it connects when its first room is opened. Throws `api.invalid_url` for what is
 * no ws:, wss:, http: or https: URL, and `api.wrong_type` for options that are none.
 */
export function connect(url: string | URL, options: ConnectOptions = {}): Client {
  return new Client({ module: loader.module, webSocket: globalThis.WebSocket }, url, options)
}
