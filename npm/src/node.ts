// The entry for Node: the wasm module is read from disk, and the WebSocket is that of `ws`.

import { readFile } from 'node:fs/promises'
import { WebSocket } from 'ws'
import { Client, type ConnectOptions } from './client.js'
import { type Loader, type Ready, createLoader } from './loader.js'

export * from './index.js'

/** Updates are small and hardly shrink; compression would cost memory for each connection. */
class NodeWebSocket extends WebSocket {
  constructor(url: string, protocol: string) {
    super(url, protocol, { perMessageDeflate: false })
  }
}

const loader: Loader = /* @__PURE__ */ createLoader(async () =>
  new Uint8Array(await readFile(new URL('../wasm/coweave_bg.wasm', import.meta.url))),
)

/** Loads the wasm module ahead of time; `connect` does it by itself. */
export const ready: Ready = source => loader.ready(source)

/**
 * A client for a relay; it connects when its first room is opened. Throws `api.invalid_url` for what is
 * no ws:, wss:, http: or https: URL, and `api.wrong_type` for options that are none.
 */
export function connect(url: string | URL, options: ConnectOptions = {}): Client {
  return new Client({ module: loader.module, webSocket: NodeWebSocket }, url, options)
}
