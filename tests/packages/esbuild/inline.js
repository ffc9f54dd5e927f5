// A note in a page that esbuild made, with the module in its code.
import { connect } from 'coweave/inline'

globalThis.openNote = async relay => {
  const room = connect(relay).room('notes/today')
  await room.synced
  return room.doc.text('body')
}
