// The entry for everything that cannot serve a wasm file: the module is in the code.

import { base64 } from '../wasm/coweave_inline.js'
import { Client, type ConnectOptions } from './client.js'
import { type Ready, createReady } from './loader.js'

export * from './index.js'

/** Loads the wasm module ahead of time; `connect` does it by itself. */
export const ready: Ready = /* @__PURE__ */ createReady(() =>
  Uint8Array.from(atob(base64), character => character.charCodeAt(0)),
)

/** A client for a relay; it connects when its first room is opened. */
export function connect(url: string, options: ConnectOptions = {}): Client {
  return new Client({ ready, webSocket: globalThis.WebSocket }, url, options)
}
