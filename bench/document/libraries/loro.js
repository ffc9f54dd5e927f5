// Loro, with a commit for each edit.

import { LoroDoc, LoroMap, encodeFrontiers } from 'loro-crdt'

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
    count: () => array.length,
    insertEntry: (index, value) => {
      array.insert(index, value)
      commit()
    },
    removeEntry: index => {
      array.delete(index, 1)
      commit()
    },
    nest: (index, entries) => {
      const nested = array.insertContainer(index, new LoroMap())
      for (const [key, value] of Object.entries(entries)) nested.set(key, value)
      commit()
    },
    setNested: (index, key, value) => {
      array.get(index).set(key, value)
      commit()
    },
    get: key => map.get(key),
    getNested: (index, key) => array.get(index).get(key),
    toJson: () => ({ map: map.toJSON(), array: array.toJSON() }),
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
    /** It has a past document where Yjs has a snapshot. */
    snapshot: () => encodeFrontiers(doc.frontiers()),
    mark: () => doc.oplogVersion(),
    encodeSince: from => doc.export({ mode: 'update', from }),
    dispose: () => doc.free(),
  }
}
