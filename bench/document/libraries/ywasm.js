// ywasm: yrs for JavaScript, as it is on npm.

import * as Y from 'ywasm'

export const title = 'ywasm'
export const format = 'yjs'
export const can = ['types', 'xml', 'observe', 'apply', 'load']

export async function open() {
  const doc = new Y.YDoc({})
  const text = doc.getText('body')
  const map = doc.getMap('map')
  const array = doc.getArray('array')
  const tree = doc.getXmlFragment('tree')
  let update
  doc.onUpdate(encoded => {
    update = encoded
  })
  const together = edits => {
    const transaction = doc.beginTransaction()
    try {
      edits(transaction)
    } finally {
      transaction.free()
    }
  }
  return {
    insert: (index, content, transaction) => text.insert(index, content, undefined, transaction),
    remove: (index, length, transaction) => text.delete(index, length, transaction),
    set: (key, value) => map.set(key, value),
    push: value => array.push([value]),
    count: () => array.length(),
    insertEntry: (index, value) => array.insert(index, [value]),
    removeEntry: index => array.delete(index, 1),
    nest: (index, entries) => array.insert(index, [new Y.YMap(entries)]),
    setNested: (index, key, value) => array.get(index).set(key, value),
    get: key => map.get(key),
    getNested: (index, key) => array.get(index).get(key),
    toJson: () => ({ map: map.toJson(), array: array.toJson() }),
    together,
    takeUpdate: () => update,
    read: () => text.toString(),
    length: () => text.length(),
    observe: listener => text.observe(event => listener(event.delta)),
    apply: bytes => Y.applyUpdate(doc, bytes, undefined),
    encode: () => Y.encodeStateAsUpdate(doc),
    snapshot: () => Y.encodeSnapshotV1(Y.snapshot(doc)),
    mark: () => Y.encodeStateVector(doc),
    encodeSince: mark => Y.encodeStateAsUpdate(doc, mark),
    treeToJson: () => {
      const transaction = doc.beginTransaction()
      try {
        return siblingsToJson(tree.firstChild(transaction), transaction)
      } finally {
        transaction.free()
      }
    },
    clientId: () => Number(doc.id),
    dispose: () => doc.free(),
  }
}

function siblingsToJson(first, transaction) {
  const nodes = []
  for (let node = first; node !== undefined; node = node.nextSibling(transaction)) {
    nodes.push(node instanceof Y.YXmlText
      ? { type: 'text', delta: node.toDelta(undefined, undefined, undefined, transaction) }
      : {
          type: node.name(transaction),
          attributes: node.attributes(transaction),
          children: siblingsToJson(node.firstChild(transaction), transaction),
        })
  }
  return nodes
}
