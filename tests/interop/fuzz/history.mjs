// One random history: people edit one document, and what they send arrives in any order that keeps causes before
// effects.

import assert from 'node:assert/strict'

import * as Y from 'yjs'

import { view } from './compare.mjs'
import { RoomPeer, YjsPeer } from './peers.mjs'
import { generator } from './random.mjs'
import { ROOTS, coweave, offline, turn, yjs } from './sides.mjs'

/** Who made which update, and what it builds on. */
class Log {
  #updates = []

  /** What a peer made goes on its way. */
  publish(peers) {
    peers.forEach((peer, author) => {
      for (const update of peer.made.splice(0)) {
        this.#updates.push({ author, needs: [...peer.known], update })
        peer.known[author] += 1
      }
    })
  }

  /** What can reach a peer next. */
  deliverable(peer) {
    return this.#updates.filter(({ author, needs }) => {
      return peer.known[author] === needs[author] && needs.every((count, other) => other === author || count <= peer.known[other])
    })
  }
}

/**
 * Runs the history of a seed. Everybody has to end with the same document; rooms are compared with Yjs after every
 * step. With `cuts`, people with Yjs cut characters in two.
 */
export async function run(seed, tally, { cuts = false } = {}) {
  const random = generator(seed)
  // A new instance of the module: in one that was used before, maps come in another order.
  const client = offline()
  const rooms = 1 + random.below(2)
  const count = rooms + 1 + random.below(3)
  const steps = 10 + random.below(40)
  const peers = []
  try {
    for (let at = 0; at < count; at += 1) {
      if (at >= rooms) {
        peers.push(new YjsPeer(random, count, at))
        continue
      }
      const room = client.room(`history ${seed} ${at}`)
      await room.loaded
      const peer = new RoomPeer(room, count, tally, cuts)
      peers.push(peer)
      await peer.start()
    }
    // Where Yjs cuts a character without writing anything about it, its copy is another one from then on.
    const whole = cuts ? peers.slice(0, rooms) : peers
    const log = new Log()
    log.publish(peers)
    const receive = async (peer, { author, update }) => {
      await peer.receive(update)
      peer.known[author] += 1
      log.publish(peers)
    }
    for (let step = 0; step < steps; step += 1) {
      const peer = random.of(peers)
      const waiting = log.deliverable(peer)
      if (random.chance(50) || waiting.length === 0) {
        await peer.edit(random, random.chance(70) ? 1 : 2 + random.below(3), { cuts: cuts && peer.side === yjs })
        log.publish(peers)
      } else if (random.chance(15)) {
        // As two copies that meet: one gets all that it lacks at once.
        const other = random.of(whole)
        await peer.receive(other.side.difference(other.doc, peer.side.stateVector(peer.doc)))
        other.known.forEach((known, author) => {
          peer.known[author] = Math.max(peer.known[author], known)
        })
        log.publish(peers)
      } else {
        for (let left = 1 + random.below(4); left > 0; left -= 1) {
          const next = random.of(log.deliverable(peer))
          if (next !== undefined) await receive(peer, next)
        }
      }
    }
    for (;;) {
      const open = peers.filter(peer => log.deliverable(peer).length > 0)
      if (open.length === 0) break
      const peer = random.of(open)
      await receive(peer, random.of(log.deliverable(peer)))
    }
    const [first, ...others] = whole.map(peer => peer.view())
    for (const other of others) assert.deepEqual(other, first, 'the end')
    await reload(client, seed, whole, first)
  } finally {
    peers.forEach(peer => peer.dispose())
    client.dispose()
  }
}

/** Whoever gets the whole document from somebody has the same one. */
async function reload(client, seed, peers, expected) {
  for (const { side, doc } of peers) {
    const state = side.state(doc)
    const fresh = new Y.Doc()
    Object.keys(ROOTS).forEach(name => yjs.root(fresh, name))
    Y.applyUpdate(fresh, state)
    assert.deepEqual(view(yjs, fresh), expected, 'a state in Yjs')
    const room = client.room(`copy of ${seed}`)
    await room.loaded
    room.doc.applyUpdate(state)
    assert.deepEqual(view(coweave, room.doc), expected, 'a state in a room')
    room.dispose()
    await turn()
  }
}
