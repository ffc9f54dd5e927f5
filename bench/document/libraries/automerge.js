// Automerge, with a change for each edit.

import * as A from '@automerge/automerge'

export const title = 'automerge'
export const format = 'automerge'
/** Key by key it would take half a minute. */
export const keysPerEdit = 2_000
export const can = ['types', 'apply', 'load']

/** Everybody begins with the same objects; made twice, they would be different ones. */
const EMPTY = A.save(A.change(A.init({ actor: '00' }), { time: 0 }, draft => {
  Object.assign(draft, { body: '', map: {}, array: [] })
}))

export async function open() {
  let doc = A.load(EMPTY)
  let isOpen = false
  const change = edit => {
    if (isOpen) edit(isOpen)
    else doc = A.change(doc, edit)
  }
  return {
    insert: (index, content) => change(draft => A.splice(draft, ['body'], index, 0, content)),
    remove: (index, length) => change(draft => A.splice(draft, ['body'], index, length)),
    set: (key, value) => change(draft => {
      draft.map[key] = value
    }),
    push: value => change(draft => {
      draft.array.push(value)
    }),
    count: () => doc.array.length,
    insertEntry: (index, value) => change(draft => {
      draft.array.insertAt(index, value)
    }),
    removeEntry: index => change(draft => {
      draft.array.deleteAt(index)
    }),
    nest: (index, entries) => change(draft => {
      draft.array.insertAt(index, entries)
    }),
    setNested: (index, key, value) => change(draft => {
      draft.array[index][key] = value
    }),
    get: key => doc.map[key],
    getNested: (index, key) => doc.array[index][key],
    toJson: () => A.toJS(doc),
    together: edits => {
      doc = A.change(doc, draft => {
        isOpen = draft
        edits()
      })
      isOpen = false
    },
    takeUpdate: () => A.getLastLocalChange(doc),
    read: () => doc.body,
    length: () => doc.body.length,
    apply: bytes => {
      doc = A.loadIncremental(doc, bytes)
    },
    applyAll: updates => {
      [doc] = A.applyChanges(doc, updates)
    },
    encode: () => A.save(doc),
    /** The hashes of the last changes, of 32 bytes each: of them it has a past document. */
    snapshot: () => A.getHeads(doc).flatMap(head => [...Array(head.length / 2)]),
    mark: () => A.getHeads(doc),
    encodeSince: heads => A.saveSince(doc, heads),
    dispose: () => A.free(doc),
  }
}
