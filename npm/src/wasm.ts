// The only file that knows the generated module.
export {
  default as initialize,
  Client as WasmClient,
  Room as WasmRoom,
  Text as WasmText,
} from '../wasm/coweave.js'
