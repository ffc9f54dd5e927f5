// The entry for browsers and bundlers: the wasm module is a file of its own.

import { Client, type ConnectOptions } from './client.js'
import { type Ready, createReady } from './loader.js'

export * from './index.js'

/** Loads the wasm module ahead of time, or from another place; `connect` does it by itself. */
export const ready: Ready = /* @__PURE__ */ createReady(
  () => new URL('../wasm/coweave_bg.wasm', import.meta.url),
)

/** A client for a relay; it connects when its first room is opened. */
export function connect(url: string, options: ConnectOptions = {}): Client {
  return new Client({ ready, webSocket: globalThis.WebSocket }, url, options)
}
