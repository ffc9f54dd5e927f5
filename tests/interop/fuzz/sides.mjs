// Yjs and the package by the same words, so that one random edit can be made with both.

import {
  connect, newArray, newMap, newText, newXmlElement, newXmlFragment, newXmlText,
} from 'coweave'
import * as Y from 'yjs'

/** The parts that every document of these tests has, by name: kinds of parts that have one. */
export const ROOTS = { text: 'text', map: 'map', array: 'array', xml: 'fragment' }

/** A shared type that is not in a document yet; `content` holds plain values and others of these. */
export class Fresh {
  constructor(kind, content, name) {
    Object.assign(this, { kind, content, name })
  }
}

/** Stands for something embedded. */
export const OBJECT = '\ufffc'

const deltaWith = (side, steps) => steps.map(step => {
  return step.insert instanceof Fresh ? { ...step, insert: side.make(step.insert) } : step
})
const entriesWith = (side, entries) => Object.entries(entries).map(([key, value]) => [key, side.make(value)])

export const yjs = {
  kind(value) {
    if (value instanceof Y.XmlText) return 'xmlText'
    if (value instanceof Y.Text) return 'text'
    if (value instanceof Y.XmlElement) return 'element'
    if (value instanceof Y.XmlFragment) return 'fragment'
    if (value instanceof Y.Map) return 'map'
    return value instanceof Y.Array ? 'array' : null
  },

  make(value) {
    if (!(value instanceof Fresh)) return value
    const { kind, content, name } = value
    switch (kind) {
      case 'map':
        return new Y.Map(entriesWith(yjs, content))
      case 'array':
        return Y.Array.from(content.map(yjs.make))
      case 'text':
      case 'xmlText': {
        const text = kind === 'text' ? new Y.Text() : new Y.XmlText()
        text.applyDelta(deltaWith(yjs, content))
        return text
      }
      case 'fragment': {
        const fragment = new Y.XmlFragment()
        fragment.insert(0, content.map(yjs.make))
        return fragment
      }
      default: {
        const element = new Y.XmlElement(name)
        element.insert(0, content.children.map(yjs.make))
        for (const [key, entry] of entriesWith(yjs, content.attributes)) element.setAttribute(key, entry)
        return element
      }
    }
  },

  root: (doc, name) => doc.get(name, { text: Y.Text, map: Y.Map, array: Y.Array, xml: Y.XmlFragment }[name]),
  insert: (node, index, items) => node.insert(index, items.map(yjs.make)),
  embed: (node, index, value, formats) => node.insertEmbed(index, yjs.make(value), formats),
  applyDelta: (node, steps) => node.applyDelta(deltaWith(yjs, steps)),
  set: (node, key, value) => (node instanceof Y.Map ? node.set(key, yjs.make(value)) : node.setAttribute(key, yjs.make(value))),
  unset: (node, key) => (node instanceof Y.Map ? node.delete(key) : node.removeAttribute(key)),
  items: node => node.toArray(),
  entries: node => (node instanceof Y.Map ? Object.fromEntries(node.entries()) : node.getAttributes()),
  delta: node => node.toDelta(),
  name: element => element.nodeName,
  xml: node => node.toString(),
  transact: (doc, edit, origin) => doc.transact(edit, origin),
  state: doc => Y.encodeStateAsUpdate(doc),
  stateVector: doc => Y.encodeStateVector(doc),
  difference: (doc, vector) => Y.encodeStateAsUpdate(doc, vector),
  apply: (doc, update) => Y.applyUpdate(doc, update, 'remote'),
}

export const coweave = {
  kind(value) {
    if (typeof value?.subscribeDeep !== 'function') return null
    if ('toXml' in value) return 'xmlText'
    if ('applyDelta' in value) return 'text'
    if ('setAttribute' in value) return 'element'
    if ('children' in value) return 'fragment'
    return 'entries' in value ? 'map' : 'array'
  },

  make(value) {
    if (!(value instanceof Fresh)) return value
    const { kind, content, name } = value
    switch (kind) {
      case 'map':
        return newMap(Object.fromEntries(entriesWith(coweave, content)))
      case 'array':
        return newArray(content.map(coweave.make))
      case 'text':
        return newText(deltaWith(coweave, content))
      case 'xmlText':
        return newXmlText(deltaWith(coweave, content))
      case 'fragment':
        return newXmlFragment(content.map(coweave.make))
      default: {
        const attributes = Object.fromEntries(entriesWith(coweave, content.attributes))
        return newXmlElement(name, attributes, content.children.map(coweave.make))
      }
    }
  },

  root: (doc, name) => doc[name](name),
  insert: (node, index, items) => node.insert(index, ...items.map(coweave.make)),
  embed: (node, index, value, formats) => node.embed(index, coweave.make(value), formats),
  applyDelta: (node, steps) => node.applyDelta(deltaWith(coweave, steps)),
  set: (node, key, value) => ('set' in node ? node.set(key, coweave.make(value)) : node.setAttribute(key, coweave.make(value))),
  unset: (node, key) => ('set' in node ? node.delete(key) : node.removeAttribute(key)),
  items: node => ('children' in node ? node.children() : node.toArray()),
  entries: node => ('set' in node ? node.entries() : node.attributes()),
  delta: node => node.toDelta(),
  name: element => element.name,
  xml: node => ('toXml' in node ? node.toXml() : node.toString()),
  transact: (doc, edit, origin) => doc.transact(edit, origin),
  state: doc => doc.encodeState(),
  stateVector: doc => doc.encodeStateVector(),
  difference: (doc, vector) => doc.encodeDifference(vector),
  apply: (doc, update) => doc.applyUpdate(update, 'remote'),
}

/** A client that reaches nobody, for documents in memory. */
export const offline = () => connect('ws://127.0.0.1:9', { storage: 'memory' })

/** A room and a document of Yjs, not in touch yet. */
export async function pair(t) {
  const client = offline()
  t.after(() => client.dispose())
  const room = client.room('room')
  await room.loaded
  return [room.doc, new Y.Doc()]
}

/** One of them gets what the other has. */
export const give = (from, to) => to.applyUpdate(Y.encodeStateAsUpdate(from))
export const take = (from, to) => Y.applyUpdate(to, from.encodeState())

/** Lets microtasks run: what the package has to tell is told. */
export const turn = () => new Promise(resolve => setImmediate(resolve))

/** The part of a document that a path leads to. */
export function find(side, doc, [name, ...path]) {
  return path.reduce((node, segment) => child(side, node, segment), side.root(doc, name))
}

export function child(side, node, segment) {
  if (typeof segment === 'string') return side.entries(node)[segment]
  const kind = side.kind(node)
  if (kind !== 'text' && kind !== 'xmlText') return side.items(node)[segment]
  let at = 0
  for (const { insert } of side.delta(node)) {
    if (at === segment) return insert
    at += typeof insert === 'string' ? insert.length : 1
  }
  return undefined
}
