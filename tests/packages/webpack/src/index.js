// A note in a webpack app: no loader, no configuration.
import { connect } from 'coweave'

globalThis.openNote = async relay => {
  const room = connect(relay).room('notes/today')
  await room.synced
  return room.doc.text('body')
}
