// Coweave, as an app uses it: a room in memory of the npm package, with no relay to be reached.

import { connect, newMap } from 'coweave'

import { Relay } from '../relay.js'

export const title = 'coweave'
export const format = 'yjs'
export const can = ['types', 'xml', 'observe', 'apply', 'load']

/** Nobody listens here. */
const client = connect('ws://127.0.0.1:9', { storage: 'memory' })
let rooms = 0

export async function open() {
  const room = client.room(nextName())
  await room.loaded
  const { figures } = client.debug().rooms.find(({ name }) => name === room.name)
  return { ...documentOf(room), clientId: () => figures.document.client }
}

/** The relay that `openLive` is connected with, in this process. */
let relay
let live

/** A document that comes from a relay, and what others write in it. */
export async function openLive() {
  relay ??= new Relay()
  live ??= connect('ws://127.0.0.1:9', { storage: 'memory', webSocket: relay.webSocket })
  const name = nextName()
  const joined = relay.joined(name)
  const room = live.room(name)
  const { begin, pack, pass } = await joined
  return { ...documentOf(room), apply: begin, pack, receive: pass }
}

function nextName() {
  rooms += 1
  return `document ${rooms}`
}

function documentOf(room) {
  const text = room.doc.text('body')
  const map = room.doc.map('map')
  const array = room.doc.array('array')
  const tree = room.doc.xml('tree')
  let update
  return {
    insert: (index, content) => text.insert(index, content),
    remove: (index, length) => text.delete(index, length),
    set: (key, value) => map.set(key, value),
    push: value => array.push(value),
    count: () => array.length,
    insertEntry: (index, value) => array.insert(index, value),
    removeEntry: index => array.delete(index, 1),
    nest: (index, entries) => array.insert(index, newMap(entries)),
    setNested: (index, key, value) => array.get(index).set(key, value),
    get: key => map.get(key),
    getNested: (index, key) => array.get(index).get(key),
    toJson: () => ({ map: map.toJSON(), array: array.toJSON() }),
    together: edits => room.doc.transact(edits),
    // Edits leave as one update when the present code of the app is done: it is encoded, and kept twice,
    // for the relay and for another instance of the module.
    isDeferred: true,
    // An app needs this for other transports only.
    giveUpdates: () => room.doc.on('update', encoded => {
      update = encoded
    }),
    takeUpdate: () => update,
    read: () => text.toString(),
    length: () => text.length,
    observe: listener => text.subscribe(({ delta }) => listener(delta)),
    apply: bytes => room.doc.applyUpdate(bytes),
    encode: () => room.doc.encodeState(),
    snapshot: () => room.doc.snapshot(),
    mark: () => room.doc.encodeStateVector(),
    encodeSince: mark => room.doc.encodeDifference(mark),
    treeToJson: () => tree.toJSON(),
    dispose: () => room.dispose(),
  }
}
