// Automerge with its module from the server.

import { initializeWasm } from '@automerge/automerge/slim'
import url from '@automerge/automerge/automerge.wasm?url'

await initializeWasm(url)
export * from '@automerge/automerge/slim'
