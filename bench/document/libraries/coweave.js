// Coweave, as an app uses it: a room in memory of the npm package, with no relay to be reached.

import { connect } from 'coweave'

export const title = 'coweave'
export const format = 'yjs'
export const can = []

/** Nobody listens here. */
const client = connect('ws://127.0.0.1:9', { storage: 'memory' })
let rooms = 0

export async function open() {
  rooms += 1
  const room = client.room(`document ${rooms}`)
  await room.loaded
  const text = room.doc.text('body')
  return {
    insert: (index, content) => text.insert(index, content),
    remove: (index, length) => text.delete(index, length),
    together: edits => room.doc.transact(edits),
    // Edits leave as one update when the present code of the app is done.
    isDeferred: true,
    read: () => text.toString(),
    length: () => text.length,
    observe: listener => text.subscribe(({ delta }) => listener(delta)),
    dispose: () => room.dispose(),
  }
}
