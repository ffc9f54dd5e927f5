// A note in a page without any bundler: the import map says where the package is.
import { connect } from 'coweave'

globalThis.openNote = async relay => {
  const room = connect(relay).room('notes/today')
  await room.synced
  return room.doc.text('body')
}
