// Everything of the package that takes bytes, positions or indexes, with such that no client makes: it may refuse
// them, and the module must not trap, whatever is read and edited afterwards.
//
// `COWEAVE_HOSTILE=1000000` runs so many inputs, and `COWEAVE_HOSTILE_SEED=57` begins with that batch of them.

import assert from 'node:assert/strict'
import { it } from 'node:test'

import { connect, decodePosition, encodePosition } from 'coweave'
import * as Y from 'yjs'

import { canon } from './fuzz/compare.mjs'
import { choose, perform } from './fuzz/edits.mjs'
import { FakeRelay } from './fuzz/fake-relay.mjs'
import { hostileFrame } from './fuzz/hostile-frames.mjs'
import { damaged, honest, hostileIndex, hostilePosition, hostileUpdate, hostileVector } from './fuzz/hostile-inputs.mjs'
import { generator, replaceRandomBytes, setting } from './fuzz/random.mjs'
import { ROOTS, coweave, turn } from './fuzz/sides.mjs'

const INPUTS = 20_000
/** So many go into one document, one after the other. */
const BATCH = 40
/** They take some ten seconds; a run that takes longer than this fails, however busy the machine is. */
const RUN_MS_MAX = 900_000
/** A run ends when it found so many. */
const TRAPS_MAX = 5
/** So many parts of a document are looked at. */
const NODES_MAX = 30

/** What a call gives, when it is not refused; of a trap the client tells by itself. */
function attempt(call) {
  try {
    return call()
  } catch (error) {
    if (error?.name !== 'CoweaveError') throw error
    return undefined
  }
}

/** The parts of a document. */
function partsOf(doc) {
  const nodes = Object.keys(ROOTS).map(name => coweave.root(doc, name))
  for (let at = 0; at < nodes.length && nodes.length < NODES_MAX; at += 1) {
    const node = nodes[at]
    const kind = coweave.kind(node)
    const isText = kind === 'text' || kind === 'xmlText'
    const inside = isText ? (attempt(() => coweave.delta(node)) ?? []).map(({ insert }) => insert) : []
    if (!isText && kind !== 'map') inside.push(...attempt(() => coweave.items(node)) ?? [])
    if (kind === 'map' || kind === 'element') inside.push(...Object.values(attempt(() => coweave.entries(node)) ?? {}))
    nodes.push(...inside.filter(item => coweave.kind(item) !== null))
  }
  return nodes
}

/** Reads all that is there in every way. */
function readAll(doc) {
  for (const name of Object.keys(ROOTS)) {
    const node = coweave.root(doc, name)
    attempt(() => canon(coweave, node))
    attempt(() => node.toJSON())
    attempt(() => node.toString())
  }
  doc.encodeState()
  doc.snapshot()
}

function useNode(random, node) {
  const index = () => hostileIndex(random)
  if ('position' in node) {
    const position = attempt(() => node.position(index(), random.of(['left', 'right'])))
    attempt(() => node.resolve(position))
    attempt(() => node.delete(index(), index()))
  }
  if ('applyDelta' in node) {
    attempt(() => node.insert(index(), 'x🙂'))
    attempt(() => node.format(index(), index(), { bold: random.of([true, null]) }))
    attempt(() => node.applyDelta([{ retain: index() }, { delete: index() }, { insert: { a: 1 } }]))
  } else if ('push' in node) {
    attempt(() => node.insert(index(), 1))
    attempt(() => node.get(index()))
  }
}

/** A client in a room with content, and what is done with both. */
class Victim {
  #relay = new FakeRelay()
  #client
  #room
  taken = 0

  constructor(seeds, onTrap) {
    Object.assign(this, { seeds, onTrap })
  }

  async open(seed) {
    this.dispose()
    this.#client = connect('ws://relay', { storage: 'memory', webSocket: this.#relay.webSocket })
    this.#client.on('restarted', this.onTrap)
    this.#room = this.#client.room(`room ${seed}`)
    await this.#room.loaded
    const { doc } = this.#room
    doc.applyUpdate(this.seeds.base)
    for (const name of Object.keys(ROOTS)) coweave.root(doc, name).subscribeDeep(changes => changes.forEach(({ target }) => target))
    this.#room.presence.set({ user: { name: 'me' } })
    await turn()
  }

  /** Brings one input; tells what it was, before. */
  async bring(random, tell) {
    const room = this.#room
    const { doc } = room
    const kind = random.below(100)
    if (kind < 60) {
      const isSecond = kind < 8
      const update = isSecond
        ? damaged(random, Y.convertUpdateFormatV1ToV2(random.of(this.seeds.updates)))
        : hostileUpdate(random, this.seeds)
      tell(isSecond ? 'an update in version 2' : 'an update', update)
      const before = doc.encodeStateVector()
      attempt(() => (isSecond ? doc.applyUpdateV2(update) : doc.applyUpdate(update)))
      if (Buffer.compare(before, doc.encodeStateVector()) !== 0) await this.#use(random)
    } else if (kind < 65) {
      const vector = hostileVector(random)
      tell('a state vector', vector)
      attempt(() => doc.encodeDifference(vector))
      const snapshot = random.chance(50) ? damaged(random, doc.snapshot()) : doc.snapshot()
      tell('a snapshot', snapshot)
      attempt(() => doc.equals(snapshot))
      const state = random.of([undefined, this.seeds.base, damaged(random, this.seeds.base), hostileUpdate(random, this.seeds)])
      if (state !== undefined) tell('a past state', state)
      const past = attempt(() => doc.at(snapshot, state))
      if (past !== undefined) readAll(past)
      past?.dispose()
    } else if (kind < 80) {
      const node = random.of(partsOf(doc))
      if ('resolve' in node) {
        const position = hostilePosition(random, attempt(() => node.position(random.below(4))))
        tell(`a position: ${JSON.stringify(position)}`)
        attempt(() => node.resolve(position))
        const bytes = attempt(() => encodePosition(position)) ?? new Uint8Array(random.below(9))
        attempt(() => node.resolve(decodePosition(damaged(random, bytes))))
      }
    } else if (kind < 85) {
      tell('an index')
      useNode(random, random.of(partsOf(doc)))
    } else {
      await this.#hear(random, tell)
    }
  }

  async #use(random) {
    const { doc } = this.#room
    this.taken += 1
    useNode(random, random.of(partsOf(doc)))
    attempt(() => perform(coweave, doc, choose(random, coweave, doc, {})))
    await turn()
    readAll(doc)
    this.seeds.ends = new Map(Y.decodeStateVector(doc.encodeStateVector()))
  }

  async #hear(random, tell) {
    if (this.#relay.channels.length === 0) return
    const bytes = hostileFrame(random, this.seeds, this.#relay)
    tell('a frame', bytes)
    this.#relay.say(bytes)
    await turn()
    this.#room.presence.peers
    this.#room.status
  }

  dispose() {
    this.#client?.dispose()
  }
}

it('no bytes, positions or indexes make the module trap', async t => {
  const { error: print } = console
  console.error = () => undefined
  t.after(() => {
    console.error = print
  })
  const reseed = replaceRandomBytes(t)
  const count = setting('COWEAVE_HOSTILE', INPUTS)
  const first = setting('COWEAVE_HOSTILE_SEED', 1)
  const traps = []
  const seen = {}
  let seed = first
  let input = ''
  const trapped = text => traps.push(`COWEAVE_HOSTILE_SEED=${seed}: ${text}: ${input}`)
  const victim = new Victim(honest(generator(5)), error => trapped(`${error.message} ${error.cause?.stack}`))
  t.after(() => victim.dispose())
  const { ends } = victim.seeds
  const end = count > INPUTS ? Infinity : performance.now() + RUN_MS_MAX
  let inputs = 0
  for (; inputs < count && performance.now() < end && traps.length < TRAPS_MAX; seed += 1) {
    reseed(seed)
    const random = generator(seed)
    victim.seeds.ends = ends
    await victim.open(seed)
    for (let left = BATCH; left > 0 && traps.length < TRAPS_MAX; left -= 1, inputs += 1) {
      try {
        await victim.bring(random, (what, bytes) => {
          const [kind] = what.split(':')
          seen[kind] = (seen[kind] ?? 0) + 1
          input = bytes === undefined ? what : `${what}: ${Buffer.from(bytes).toString('hex')}`
        })
      } catch (error) {
        trapped(error.stack)
      }
    }
  }
  t.diagnostic(`${inputs} inputs in ${seed - first} batches, ${victim.taken} updates taken; ${JSON.stringify(seen)}`)
  assert.equal(traps.join('\n\n'), '')
  assert.ok(inputs >= count, `${RUN_MS_MAX / 60_000} minutes were too short for ${count} inputs: something is slow`)
  assert.ok(victim.taken * 20 > seen['an update'], 'the updates reach what is behind the guard')
})
