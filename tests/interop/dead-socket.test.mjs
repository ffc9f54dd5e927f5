// A network that swallows everything without a word: our SDK notices, comes back, and is there once.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { it } from 'node:test'

import { Relay } from '../harness/relay.mjs'
import { sleep, until } from '../harness/until.mjs'
import { openCoweave, openYjs, versions } from './peers.mjs'

const NOTICE_MS_MAX = 15_000

/** Passes connections on to the relay until they are frozen; newer ones pass again. */
async function startProxy(t, relay) {
  let connections = []
  const server = createServer(near => {
    const far = connect(relay.port, '127.0.0.1')
    connections.push([near, far])
    near.pipe(far).pipe(near)
    for (const socket of [near, far]) socket.on('error', () => undefined)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const all = []
  t.after(() => {
    all.concat(connections).flat().forEach(socket => socket.destroy())
    server.close()
  })
  return {
    wsUrl: `ws://127.0.0.1:${server.address().port}`,
    /** From here on neither side of the present connections hears anything of the other, not even its end. */
    freeze() {
      for (const [near, far] of connections) {
        near.unpipe(far)
        far.unpipe(near)
        near.on('data', () => undefined)
        far.on('data', () => undefined)
        near.removeAllListeners('end')
      }
      all.push(...connections)
      connections = []
    },
  }
}

it('a connection that died silently is replaced, and its owner does not appear twice', async t => {
  const relay = await Relay.start()
  t.after(() => relay.dispose())
  const proxy = await startProxy(t, relay)
  const watchers = [await openCoweave(relay, 'silence'), await openYjs(versions[1], relay, 'silence')]
  const mover = await openCoweave(proxy, 'silence')
  t.after(() => [mover, ...watchers].forEach(peer => peer.close()))
  mover.room.presence.set({ name: 'Ana' })
  const seen = () => [
    watchers[0].peers.filter(peer => peer.state.name === 'Ana').length,
    [...watchers[1].awareness.getStates().values()].filter(state => state.name === 'Ana').length,
  ]
  await until(() => seen().join() === '1,1', 'everybody sees Ana')
  const most = [1, 1]
  const look = () => seen().forEach((count, index) => { most[index] = Math.max(most[index], count) })
  watchers[0].room.presence.subscribe(look)
  watchers[1].awareness.on('change', look)

  for (let round = 1; round <= 3; round += 1) {
    proxy.freeze()
    mover.text.insert(0, '.')
    await until(() => watchers.every(peer => peer.content().length === round), `edit ${round} arrives over a new connection`, NOTICE_MS_MAX)
    await until(() => seen().join() === '1,1', () => `everybody sees Ana again, ${seen()} times`)
    await sleep(500)
    assert.deepEqual([seen(), most], [[1, 1], [1, 1]])
  }
  await mover.room.flush()
})
