// Writes tests/vectors/yjs-histories.json: what real Yjs clients send, first as they edit, and then
// again in the forms that Yjs gives to it by then.
//
// `node make-histories.mjs 8 1 > ../vectors/yjs-histories.json` (how many, and the first seed)

import * as Y from 'yjs'
import { generator } from './fuzz/random.mjs'

const [count, first] = process.argv.slice(2).map(Number)
const hex = (bytes) => Buffer.from(bytes).toString('hex')

const values = [null, true, -7, 0.5, 1e21, 'é', { b: 1, a: [1, { d: null, c: 2 }] }, new Uint8Array([1, 2])]

function edit(doc, random, withHalves) {
  const text = doc.getText('text')
  const plain = doc.getText('plain')
  const array = doc.getArray('array')
  const map = doc.getMap('map')
  switch (random.below(9)) {
    case 0:
    case 1: {
      const words = withHalves ? ['a', 'hello ', '🙂', '👩‍👩‍👧'] : ['a', 'hello ', 'é日']
      plain.insert(random.below(plain.length + 1), random.of(words))
      break
    }
    case 2:
      if (plain.length > 0) {
        const at = random.below(plain.length)
        plain.delete(at, 1 + random.below(Math.min(5, plain.length - at)))
      }
      break
    case 3:
      text.insert(random.below(text.length + 1), random.of(['b', 'lorem ']), random.of([{}, { bold: true }]))
      break
    case 4:
      text.insertEmbed(random.below(text.length + 1), { url: 'x', alt: { z: 1, y: 2.5 } })
      break
    case 5:
      if (text.length > 0) {
        const at = random.below(text.length)
        const length = 1 + random.below(Math.min(6, text.length - at))
        if (random.chance(50)) text.delete(at, length)
        else text.format(at, length, random.of([{ bold: null }, { link: { to: 'x', as: 1 } }]))
      }
      break
    case 6:
      if (array.length > 3 && random.chance(50)) array.delete(random.below(array.length - 1), 2)
      else array.insert(random.below(array.length + 1), [random.of(values), random.of(values)])
      break
    case 7:
      map.set(random.of(['k', 'l']), random.of(values))
      break
    default: {
      const key = random.of(['m', 'n'])
      const inner = map.get(key)
      if (!(inner instanceof Y.Map) || random.chance(30)) map.set(key, new Y.Map([['x', 1]]))
      else if (random.chance(50)) inner.set(random.of(['x', 'y']), random.of(values))
      else inner.set('t', new Y.Text('inside'))
    }
  }
}

function history(seed) {
  const random = generator(seed)
  const withHalves = seed % 2 === 1
  const log = []
  const peers = [1, 300, 2 ** 40].map((client) => {
    const doc = new Y.Doc()
    doc.clientID = client
    const peer = { doc, read: 0, unsent: [] }
    doc.on('update', (update, origin) => {
      if (origin !== 'remote') peer.unsent.push(update)
    })
    return peer
  })
  const receive = (peer, most) => {
    for (const update of log.slice(peer.read, peer.read + most)) Y.applyUpdate(peer.doc, update, 'remote')
    peer.read = Math.min(log.length, peer.read + most)
  }
  const resends = []
  for (let step = 0; step < 30; step += 1) {
    const peer = random.of(peers)
    if (random.chance(65)) {
      peer.doc.transact(() => {
        for (let edits = 1 + random.below(3); edits > 0; edits -= 1) edit(peer.doc, random, withHalves)
      })
      log.push(...peer.unsent.splice(0))
    } else {
      receive(peer, 1 + random.below(8))
    }
    if (random.chance(10)) resends.push(Y.encodeStateAsUpdate(peer.doc))
  }
  for (const peer of peers) {
    receive(peer, Infinity)
    resends.push(Y.encodeStateAsUpdate(peer.doc))
    resends.push(Y.encodeStateAsUpdate(peer.doc, Y.encodeStateVector(peers[0].doc)))
  }
  resends.push(Y.mergeUpdates(log))
  return { seed, withHalves, log: log.map(hex), resends: resends.map(hex) }
}

const histories = Array.from({ length: count }, (_, index) => history(first + index))
console.log(`[\n${histories.map((history) => JSON.stringify(history)).join(',\n')}\n]`)
