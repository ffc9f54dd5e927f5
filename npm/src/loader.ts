// Loading of the wasm module: once, and again after a failure.

import { loadError } from './error.js'

/** Where the wasm module comes from: an address, or its bytes. */
export type WasmSource = string | URL | ArrayBuffer | Uint8Array<ArrayBuffer>

/**
 * Loads the wasm module; later calls give the promise of the first one. Rejects with
 * `client.load_failed`, and may be called again then.
 */
export type Ready = (source?: WasmSource) => Promise<void>

/** What an entry of the package makes of its own way to the module. */
export interface Loader {
  readonly ready: Ready
  readonly module: () => Promise<WebAssembly.Module>
}

/** A network that failed may be back after so long, and then after so long. */
const WAITS_MS = [500, 1_500]

/** A loader with a source of its own. */
export function createLoader(find: () => WasmSource | Promise<WasmSource>): Loader {
  let loading: Promise<WebAssembly.Module> | undefined
  const load = async (source: WasmSource | undefined): Promise<WebAssembly.Module> =>
    compile(source ?? (await find()))
  const module = (source?: WasmSource): Promise<WebAssembly.Module> => {
    loading ??= load(source).catch((cause: unknown) => {
      loading = undefined
      throw loadError(cause)
    })
    return loading
  }
  return {
    module: () => module(),
    ready: async source => {
      await module(source)
    },
  }
}

async function compile(source: WasmSource): Promise<WebAssembly.Module> {
  if (typeof source !== 'string' && !(source instanceof URL)) return WebAssembly.compile(source)
  for (const ms of WAITS_MS) {
    try {
      return await download(source)
    } catch (error) {
      // That is how a network fails; what is there and is wrong, stays wrong.
      if (!(error instanceof TypeError)) throw error
      await new Promise(resolve => setTimeout(resolve, ms))
    }
  }
  return download(source)
}

async function download(source: string | URL): Promise<WebAssembly.Module> {
  const response = await fetch(source)
  if (!response.ok) throw new Error(`${response.url} answers ${String(response.status)}`)
  // Browsers compile while they load, but only what is called by its proper type.
  const isTyped = response.headers.get('Content-Type') === 'application/wasm'
  return isTyped
    ? WebAssembly.compileStreaming(response)
    : WebAssembly.compile(await response.arrayBuffer())
}
