// What a bundler makes of the wasm file where it is told to copy it.

/** The address of the wasm file, for `ready`. */
declare const address: string
export default address
