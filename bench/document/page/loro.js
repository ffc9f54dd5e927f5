// Loro with its module from the server.

import init from 'loro-crdt/web'
import url from 'loro-crdt/web/loro_wasm_bg.wasm?url'

await init({ module_or_path: url })
export { LoroDoc, LoroMap, encodeFrontiers } from 'loro-crdt/web'
