// A note in a page that esbuild made; the build copies the wasm file, and the page says where it is.
import { connect, ready } from 'coweave'

globalThis.openNote = async relay => {
  await ready('/dist/coweave_bg.wasm')
  const room = connect(relay).room('notes/today')
  await room.synced
  return room.doc.text('body')
}
