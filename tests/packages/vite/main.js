// A note in a Vite app: no plugin, no configuration.
import { connect } from 'coweave'

globalThis.openNote = async relay => {
  const room = connect(relay).room('notes/today')
  await room.synced
  return room.doc.text('body')
}
