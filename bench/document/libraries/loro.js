// Loro, with a commit for each edit.

import { LoroDoc } from 'loro-crdt'

export const title = 'loro'
export const format = 'loro'
export const keysPerEdit = 1
export const can = ['types', 'observe', 'apply', 'load']

export async function open() {
  const doc = new LoroDoc()
  const text = doc.getText('body')
  const map = doc.getMap('map')
  const array = doc.getList('array')
  let update
  doc.subscribeLocalUpdates(encoded => {
    update = encoded
  })
  let isOpen = false
  const commit = () => {
    if (!isOpen) doc.commit()
  }
  return {
    insert: (index, content) => {
      text.insert(index, content)
      commit()
    },
    remove: (index, length) => {
      text.delete(index, length)
      commit()
    },
    set: (key, value) => {
      map.set(key, value)
      commit()
    },
    push: value => {
      array.push(value)
      commit()
    },
    together: edits => {
      isOpen = true
      edits()
      isOpen = false
      doc.commit()
    },
    takeUpdate: () => update,
    read: () => text.toString(),
    length: () => text.length,
    // Events come in a microtask.
    isDeferred: true,
    observe: listener => text.subscribe(batch => {
      for (const { diff } of batch.events) listener(diff.diff)
    }),
    apply: bytes => doc.import(bytes),
    applyAll: updates => doc.importBatch(updates),
    encode: () => doc.export({ mode: 'snapshot' }),
    mark: () => doc.oplogVersion(),
    encodeSince: from => doc.export({ mode: 'update', from }),
    dispose: () => doc.free(),
  }
}
