// Loading of the wasm module: once, and again after a failure.

import { initialize } from './wasm.js'

/** Where the wasm module comes from: an address, or its bytes. */
export type WasmSource = string | URL | ArrayBuffer | Uint8Array<ArrayBuffer>

/** Loads the wasm module; later calls give the promise of the first one. */
export type Ready = (source?: WasmSource) => Promise<void>

/** A memoized `ready` with a source of its own. */
export function createReady(find: () => WasmSource | Promise<WasmSource>): Ready {
  let loading: Promise<void> | undefined
  const load = async (source: WasmSource | undefined): Promise<void> => {
    await initialize({ module_or_path: source ?? (await find()) })
  }
  return source => {
    loading ??= load(source).catch((error: unknown) => {
      loading = undefined
      throw error
    })
    return loading
  }
}
