// A network without a relay, after the idea of Yjs's own tests: peers come and go, each pair has a queue of messages of
// y-protocols in both directions, and nobody knows which queue moves next. So an update may come before what it needs.

import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import * as sync from 'y-protocols/sync'
import * as Y from 'yjs'

import { choose, perform } from './edits.mjs'
import { Mirror } from './mirror.mjs'
import { ROOTS, coweave, turn, yjs } from './sides.mjs'

/** A message with a number and bytes. */
function message(kind, bytes) {
  const out = encoding.createEncoder()
  encoding.writeVarUint(out, kind)
  encoding.writeVarUint8Array(out, bytes)
  return encoding.toUint8Array(out)
}

export class Network {
  peers = []
  #online = new Set()
  /** Messages on their way, by receiver and then by sender. */
  #queues = new Map()
  /** How many messages could not be taken yet by one with the package. */
  early = 0

  add(peer) {
    this.peers.push(peer)
    this.connect(peer)
  }

  /** Both sides of each new connection ask for what they lack. */
  connect(peer) {
    if (this.#online.has(peer)) return
    this.#online.add(peer)
    this.#queues.set(peer, new Map())
    for (const other of this.#online) {
      if (other === peer) continue
      this.send(peer, other, peer.question())
      this.send(other, peer, other.question())
    }
  }

  /** What is on its way to a peer, or from it, is lost. */
  disconnect(peer) {
    this.#online.delete(peer)
    this.#queues.delete(peer)
    for (const queue of this.#queues.values()) queue.delete(peer)
  }

  send(from, to, bytes) {
    const queues = this.#queues.get(to)
    if (!this.#online.has(from) || queues === undefined) return
    if (!queues.has(from)) queues.set(from, [])
    queues.get(from).push(bytes)
  }

  broadcast(from, bytes) {
    for (const to of this.#online) if (to !== from) this.send(from, to, bytes)
  }

  /** One message of one queue arrives; false when there is none. */
  async deliver(random) {
    const queues = [...this.#queues].flatMap(([to, queues]) => {
      return [...queues].filter(([, queue]) => queue.length > 0).map(([from, queue]) => ({ from, to, queue }))
    })
    if (queues.length === 0) return false
    const { from, to, queue } = random.of(queues)
    const answer = await to.receive(queue.shift())
    if (answer !== undefined) this.send(to, from, answer)
    return true
  }

  /** Everybody meets everybody, as after a long pause. */
  async meet(random) {
    this.peers.forEach(peer => this.disconnect(peer))
    this.peers.forEach(peer => this.connect(peer))
    while (await this.deliver(random)) { /* until nothing is on its way */ }
  }
}

/** Somebody with Yjs. */
export class YjsNode {
  side = yjs

  constructor(network, client) {
    this.doc = new Y.Doc()
    this.doc.clientID = client
    Object.keys(ROOTS).forEach(name => yjs.root(this.doc, name))
    this.doc.on('update', (update, origin) => {
      if (origin !== network) network.broadcast(this, message(sync.messageYjsUpdate, update))
    })
    this.network = network
  }

  question() {
    return message(sync.messageYjsSyncStep1, Y.encodeStateVector(this.doc))
  }

  async receive(bytes) {
    const answer = encoding.createEncoder()
    sync.readSyncMessage(decoding.createDecoder(bytes), answer, this.doc, this.network)
    return encoding.length(answer) > 0 ? encoding.toUint8Array(answer) : undefined
  }

  async edit(random) {
    perform(yjs, this.doc, choose(random, yjs, this.doc, {}))
  }

  dispose() {
    this.doc.destroy()
  }
}

/** Somebody with the package. */
export class RoomNode {
  side = coweave

  constructor(network, room) {
    Object.assign(this, { network, room, doc: room.doc })
    this.mirror = new Mirror(room.doc)
    room.doc.on('update', (update, { origin }) => {
      if (origin !== 'remote') network.broadcast(this, message(sync.messageYjsUpdate, update))
    })
  }

  question() {
    return message(sync.messageYjsSyncStep1, this.doc.encodeStateVector())
  }

  async receive(bytes) {
    const reader = decoding.createDecoder(bytes)
    const kind = decoding.readVarUint(reader)
    const body = decoding.readVarUint8Array(reader)
    if (kind === sync.messageYjsSyncStep1) return message(sync.messageYjsSyncStep2, this.doc.encodeDifference(body))
    try {
      coweave.apply(this.doc, body)
    } catch (error) {
      // Somebody with Yjs keeps what came too early, and passes it on with a hole in it.
      const isEarly = error.code === 'update.missing_dependencies' || error.message.includes('(Skip)')
      if (!isEarly) throw error
      this.network.early += 1
      // It is asked for at the next meeting; what is whole, at once.
      return kind === sync.messageYjsUpdate ? this.question() : undefined
    }
    await turn()
    this.mirror.check()
    return undefined
  }

  async edit(random) {
    perform(coweave, this.doc, choose(random, coweave, this.doc, {}))
    await turn()
    this.mirror.check()
  }

  dispose() {
    this.room.dispose()
  }
}
