// A note in a page that esbuild made; it copies the wasm file because it is imported, and says where it is.
import { connect, ready } from 'coweave'
import wasm from 'coweave/wasm'

globalThis.openNote = async relay => {
  await ready(wasm)
  const room = connect(relay).room('notes/today')
  await room.synced
  return room.doc.text('body')
}
