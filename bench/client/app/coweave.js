// The page with Coweave.

import './began.js'
import { connect, ready } from 'coweave'
import { apply, measure } from './page.js'

await measure(async (server, name) => {
  const client = connect(server)
  const room = client.room(name)
  const phases = {}
  // Told of the same loading that `connect` has begun.
  void ready().then(() => {
    phases.module = performance.now()
  })
  await room.loaded
  phases.loaded = performance.now()
  const text = room.doc.text('body')
  return {
    phases,
    read: () => text.toString(),
    change: edits => room.doc.transact(() => {
      for (const edit of edits) apply(text, edit)
    }),
    // On the relay's disk, and on this device: neither waits for the other.
    settled: async () => {
      await room.flush()
      if (room.storage.kind !== 'device') throw new Error(`the room is not on the device: ${JSON.stringify(room.storage)}`)
      while (!client.debug().rooms.every(({ isOnDevice }) => isOnDevice)) {
        await new Promise(resolve => setTimeout(resolve, 50))
      }
    },
  }
})
