// Yjs 13, as it is used without a provider.

import * as Y from 'yjs'

export const title = 'yjs'
export const format = 'yjs'
export const keysPerEdit = 1
export const can = ['types', 'xml', 'observe', 'apply', 'load']

export async function open() {
  const doc = new Y.Doc()
  const text = doc.getText('body')
  const map = doc.getMap('map')
  const array = doc.getArray('array')
  const tree = doc.getXmlFragment('tree')
  let update
  doc.on('update', encoded => {
    update = encoded
  })
  return {
    insert: (index, content) => text.insert(index, content),
    remove: (index, length) => text.delete(index, length),
    set: (key, value) => map.set(key, value),
    push: value => array.push([value]),
    count: () => array.length,
    insertEntry: (index, value) => array.insert(index, [value]),
    removeEntry: index => array.delete(index, 1),
    nest: (index, entries) => array.insert(index, [new Y.Map(Object.entries(entries))]),
    setNested: (index, key, value) => array.get(index).set(key, value),
    get: key => map.get(key),
    getNested: (index, key) => array.get(index).get(key),
    toJson: () => ({ map: map.toJSON(), array: array.toJSON() }),
    together: edits => doc.transact(edits),
    takeUpdate: () => update,
    read: () => text.toString(),
    length: () => text.length,
    observe: listener => text.observe(event => listener(event.delta)),
    apply: bytes => Y.applyUpdate(doc, bytes),
    encode: () => Y.encodeStateAsUpdate(doc),
    snapshot: () => Y.encodeSnapshot(Y.snapshot(doc)),
    mark: () => Y.encodeStateVector(doc),
    encodeSince: mark => Y.encodeStateAsUpdate(doc, mark),
    /** A tree of paragraphs, each with an attribute and two runs of text. */
    fillTree: paragraphs => doc.transact(() => {
      const nodes = paragraphs.map(({ id, content }) => {
        const node = new Y.XmlElement('paragraph')
        node.setAttribute('id', id)
        node.insert(0, [new Y.XmlText(content)])
        return node
      })
      tree.insert(0, nodes)
    }),
    treeToJson: () => tree.toArray().map(nodeToJson),
    clientId: () => doc.clientID,
    dispose: () => doc.destroy(),
  }
}

function nodeToJson(node) {
  if (node instanceof Y.XmlText) return { type: 'text', delta: node.toDelta() }
  return { type: node.nodeName, attributes: node.getAttributes(), children: node.toArray().map(nodeToJson) }
}
