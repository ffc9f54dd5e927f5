// Random edits over a random network without a relay: peers come and go, messages arrive in any order and are lost, and
// after everybody met everybody all have the same document. One or two of the peers are rooms.
//
// `COWEAVE_NETWORKS=10000` runs so many, and `COWEAVE_NETWORK_SEED=57` begins with that seed.

import assert from 'node:assert/strict'
import { it } from 'node:test'

import { view } from './fuzz/compare.mjs'
import { Network, RoomNode, YjsNode } from './fuzz/network.mjs'
import { generator, replaceRandomBytes, setting } from './fuzz/random.mjs'
import { offline, turn } from './fuzz/sides.mjs'

const NETWORKS = 150
/** An ordinary run does not take longer, however busy the machine is. */
const RUN_MS_MAX = 20_000
/** A run ends when it found so many. */
const FAILURES_MAX = 3

async function run(seed) {
  const random = generator(seed)
  const client = offline()
  const network = new Network()
  try {
    for (let rooms = 1 + random.below(2); rooms > 0; rooms -= 1) {
      const room = client.room(`network ${seed} ${rooms}`)
      await room.loaded
      network.add(new RoomNode(network, room))
    }
    for (let others = 1 + random.below(4); others > 0; others -= 1) {
      network.add(new YjsNode(network, 2 ** 40 + seed * 8 + others))
    }
    await turn()
    for (let steps = 20 + random.below(100); steps > 0; steps -= 1) {
      const peer = random.of(network.peers)
      if (random.chance(2)) await network.meet(random)
      else if (random.chance(10)) network[random.of(['connect', 'disconnect'])](peer)
      else if (random.chance(50)) await network.deliver(random)
      else await peer.edit(random)
    }
    // Whoever met somebody who waited for something himself lacks that; nobody waits in the second round.
    await network.meet(random)
    await network.meet(random)
    const [first, ...others] = network.peers.map(({ side, doc }) => view(side, doc))
    for (const other of others) assert.deepEqual(other, first)
    return network.early
  } finally {
    network.peers.forEach(peer => peer.dispose())
    client.dispose()
  }
}

it('over a random network without a relay everybody ends with the same document', async t => {
  const reseed = replaceRandomBytes(t)
  const first = setting('COWEAVE_NETWORK_SEED', 1)
  const count = setting('COWEAVE_NETWORKS', NETWORKS)
  const end = count > NETWORKS ? Infinity : performance.now() + RUN_MS_MAX
  const failures = []
  let early = 0
  let seed = first
  for (; seed < first + count && performance.now() < end && failures.length < FAILURES_MAX; seed += 1) {
    reseed(seed)
    try {
      early += await run(seed)
    } catch (error) {
      failures.push(`COWEAVE_NETWORK_SEED=${seed}: ${error.stack}`)
    }
  }
  t.diagnostic(`${seed - first} networks; ${early} messages came too early for a room`)
  assert.equal(failures.join('\n\n'), '')
  assert.ok(early * 10 > seed - first, 'messages come too early')
})
