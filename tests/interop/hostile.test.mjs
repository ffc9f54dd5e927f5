// Everything of the package that takes bytes, positions or indexes, with such that no client makes: it may refuse
// them, and the module must not trap, whatever is read and edited afterwards.
//
// `COWEAVE_HOSTILE=1000000` runs so many inputs, and `COWEAVE_HOSTILE_SEED=57` begins with that seed.

import assert from 'node:assert/strict'
import { it } from 'node:test'

import { canon } from './fuzz/compare.mjs'
import { choose, perform } from './fuzz/edits.mjs'
import { honest, hostileIndex, hostileUpdate, hostileVector } from './fuzz/hostile-inputs.mjs'
import { generator, setting } from './fuzz/random.mjs'
import { ROOTS, coweave, offline, turn } from './fuzz/sides.mjs'

const INPUTS = 20_000
/** An ordinary run does not take longer, however busy the machine is. */
const RUN_MS_MAX = 30_000
/** A run ends when it found so many. */
const TRAPS_MAX = 5

/** What a call gives, when it is not refused; of a trap the client tells by itself. */
function attempt(call) {
  try {
    return call()
  } catch (error) {
    if (error?.name !== 'CoweaveError') throw error
    return undefined
  }
}

/** Reads all that is there, and what is told of it. */
function readAll(doc) {
  const nodes = Object.keys(ROOTS).map(name => coweave.root(doc, name))
  for (let at = 0; at < nodes.length && nodes.length < 40; at += 1) {
    const node = nodes[at]
    attempt(() => canon(coweave, node))
    attempt(() => node.toJSON())
    attempt(() => node.toString())
    const kind = coweave.kind(node)
    const isText = kind === 'text' || kind === 'xmlText'
    const inside = isText ? (attempt(() => coweave.delta(node)) ?? []).map(({ insert }) => insert) : []
    if (!isText && kind !== 'map') inside.push(...attempt(() => coweave.items(node)) ?? [])
    if (kind === 'map' || kind === 'element') inside.push(...Object.values(attempt(() => coweave.entries(node)) ?? {}))
    nodes.push(...inside.filter(item => coweave.kind(item) !== null))
  }
  return nodes
}

function useNode(random, node) {
  const index = () => hostileIndex(random)
  if ('position' in node) {
    const position = attempt(() => node.position(index(), random.of(['left', 'right'])))
    attempt(() => node.resolve(position))
    const id = { client: random.of([1, 2, 9, -1, 2 ** 53]), clock: index() }
    attempt(() => node.resolve({ type: random.of([null, id]), tname: random.of([null, 'text', 'none']), item: random.of([null, id]), assoc: index() }))
    attempt(() => node.delete(index(), index()))
  }
  if ('applyDelta' in node) {
    attempt(() => node.insert(index(), 'x🙂'))
    attempt(() => node.format(index(), index(), { bold: random.of([true, null]) }))
    attempt(() => node.applyDelta([{ retain: index() }, { delete: index() }, { insert: { a: 1 } }]))
  } else if ('push' in node) {
    attempt(() => node.insert(index(), 1))
  }
}

it('no bytes, positions or indexes make the module trap', async t => {
  t.mock.method(console, 'error', () => undefined)
  const count = setting('COWEAVE_HOSTILE', INPUTS)
  const first = setting('COWEAVE_HOSTILE_SEED', 1)
  const client = offline()
  t.after(() => client.dispose())
  const traps = []
  let seed = first
  let input
  client.on('restarted', error => {
    traps.push(`COWEAVE_HOSTILE_SEED=${seed}: ${error.message}: ${Buffer.from(input ?? []).toString('hex')}`)
  })
  const seeds = honest(generator(5))
  const open = async () => {
    const room = client.room(`room ${seed}`)
    await room.loaded
    room.doc.applyUpdate(seeds.base)
    for (const name of Object.keys(ROOTS)) coweave.root(room.doc, name).subscribeDeep(changes => changes.forEach(({ target }) => target))
    await turn()
    return room
  }
  let room = await open()
  let taken = 0
  const end = count > INPUTS ? Infinity : performance.now() + RUN_MS_MAX
  for (; seed < first + count && performance.now() < end && traps.length < TRAPS_MAX; seed += 1) {
    const random = generator(seed)
    if (random.chance(5)) {
      attempt(() => room.doc.encodeDifference(hostileVector(random)))
      continue
    }
    input = hostileUpdate(random, seeds)
    const before = room.saved.pending
    try {
      attempt(() => room.doc.applyUpdate(input))
      if (room.saved.pending === before) continue
      taken += 1
      const nodes = readAll(room.doc)
      useNode(random, random.of(nodes))
      attempt(() => perform(coweave, room.doc, choose(random, coweave, room.doc, {})))
      await turn()
      readAll(room.doc)
    } catch (error) {
      traps.push(`COWEAVE_HOSTILE_SEED=${seed}: ${error.stack}: ${Buffer.from(input).toString('hex')}`)
    }
    room.dispose()
    await turn()
    room = await open()
  }
  t.diagnostic(`${seed - first} inputs, ${taken} taken`)
  assert.equal(traps.join('\n\n'), '')
  assert.ok(taken * 20 > seed - first, 'the inputs reach what is behind the guard')
})
