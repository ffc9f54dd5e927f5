// The page with Yjs, y-indexeddb and y-websocket.

import './began.js'
import { IndexeddbPersistence } from 'y-indexeddb'
import { WebsocketProvider } from 'y-websocket'
import { Doc } from 'yjs'
import { apply, measure } from './page.js'

/** Longer than y-indexeddb waits before it folds. */
const QUIET_MS = 2_500

function count(database) {
  return new Promise(resolve => {
    const request = database.transaction('updates').objectStore('updates').count()
    request.onsuccess = () => resolve(request.result)
  })
}

await measure(async (server, name) => {
  const doc = new Doc()
  const device = new IndexeddbPersistence(name, doc)
  const provider = new WebsocketProvider(server, name, doc)
  await device.whenSynced
  const text = doc.getText('body')
  return {
    read: () => text.toString(),
    change: edits => doc.transact(() => {
      for (const edit of edits) apply(text, edit)
    }),
    // It folds what it has stored a second after the last of many edits, and does not say when it is done.
    settled: async () => {
      let [before, stored] = [-1, 0]
      while (before !== stored) {
        before = stored
        await new Promise(resolve => setTimeout(resolve, QUIET_MS))
        stored = await count(await device._db)
      }
      if (!provider.synced) await new Promise(resolve => provider.once('sync', resolve))
    },
  }
})
