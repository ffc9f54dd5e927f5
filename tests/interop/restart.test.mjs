// The relay goes away under everybody and comes back: offline edits merge, and nothing is lost.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { Relay } from '../harness/relay.mjs'
import { sleep, until } from '../harness/until.mjs'
import { converged, openCoweave, openYjs, versions } from './peers.mjs'

const RECONNECT_MS_MAX = 30_000
// Clients reconnect within a few seconds, and renew what they show only every 15.
const PRESENCE_MS_MAX = 10_000

async function startRelay(t) {
  const relay = await Relay.start()
  t.after(() => relay.dispose())
  return relay
}

async function openAll(t, relay, roomName) {
  const peers = [await openCoweave(relay, roomName)]
  t.after(() => peers.forEach(peer => peer.close()))
  for (const version of versions) peers.push(await openYjs(version, relay, roomName))
  return peers
}

describe('after the relay', { concurrency: true }, () => {
  for (const ending of ['kill', 'stop']) {
    const signal = ending === 'kill' ? 'SIGKILL' : 'SIGTERM'

    it(`got ${signal}, what everybody wrote meanwhile is merged`, async t => {
      const relay = await startRelay(t)
      const peers = await openAll(t, relay, 'offline')
      peers[0].text.insert(0, 'together. ')
      await converged(peers)

      await relay[ending]()
      await until(() => peers.slice(1).every(peer => !peer.provider.wsconnected), 'everybody noticed')
      peers.forEach((peer, index) => peer.text.insert(peer.content().length, `offline ${index}. `))
      await sleep(500)
      await relay.start()

      const text = await converged(peers, RECONNECT_MS_MAX)
      assert.ok(text.startsWith('together. '), text)
      for (const index of peers.keys()) assert.equal(text.split(`offline ${index}. `).length, 2, text)
      await peers[0].room.flush()
      assert.deepEqual(peers[0].room.saved, { tier: 'durable', pending: 0 })
    })

    it(`got ${signal} with nobody left, a new client finds everything`, async t => {
      const relay = await startRelay(t)
      const peers = await openAll(t, relay, 'later')
      for (const peer of peers) peer.text.insert(0, `${peer.version} was here. `)
      await converged(peers)
      // y-websocket clients are told of no acknowledgement, but what is behind their edits is durable after them.
      peers[0].text.insert(0, 'All were. ')
      const text = await converged(peers)
      await peers[0].room.flush()
      peers.forEach(peer => peer.close())
      await relay[ending]()
      await relay.start()
      for (const peer of await openAll(t, relay, 'later')) assert.equal(peer.content(), text)
    })
  }

  it('got SIGKILL, everybody sees everybody again at once', async t => {
    const relay = await startRelay(t)
    const peers = await openAll(t, relay, 'presence')
    const [sdk, ...outside] = peers
    outside.forEach(peer => peer.awareness.setLocalState({ name: peer.version }))
    // Clients of y-protocols ignore a state whose clock is not above the last one they were told.
    for (let move = 0; move < 20; move += 1) {
      sdk.room.presence.set({ name: 'coweave', move })
      await sleep(100)
    }
    const everybody = ['coweave', ...versions].sort().join()
    const seen = () => [
      ['coweave', ...sdk.peers.map(peer => peer.state.name)],
      ...outside.map(peer => [...peer.awareness.getStates().values()].map(state => state.name)),
    ].map(names => names.sort().join())
    const isComplete = () => seen().every(names => names === everybody)
    await until(isComplete, () => `everybody is seen before: ${seen().join(' | ')}`)
    await relay.kill()
    await until(() => outside.every(peer => !peer.provider.wsconnected), 'everybody noticed')
    await relay.start()
    await until(isComplete, () => `everybody is seen after: ${seen().join(' | ')}`, PRESENCE_MS_MAX)
  })

  it('got SIGKILL while everybody types, everybody ends equal', async t => {
    const relay = await startRelay(t)
    const peers = await openAll(t, relay, 'typing')
    const letters = ['a', 'b', 'c']
    let isTyping = true
    const typed = await Promise.all([
      ...peers.map(async (peer, index) => {
        let count = 0
        for (; isTyping; count += 1) {
          peer.text.insert(peer.content().length, letters[index])
          await sleep(3 + (count % 5))
        }
        return count
      }),
      (async () => {
        for (let i = 0; i < 3; i += 1) {
          await sleep(400)
          await relay.kill()
          await sleep(100)
          await relay.start()
        }
        await sleep(1_500)
        isTyping = false
      })(),
    ])
    const text = await converged(peers, RECONNECT_MS_MAX)
    letters.forEach((letter, index) => assert.equal(text.split(letter).length - 1, typed[index], `letters ${letter}`))
  })
})

describe('a document of 1 MB', { concurrency: true }, () => {
  const megabyte = Array.from({ length: 1 << 20 }, (_, i) => String.fromCharCode(97 + ((i * 31) % 26))).join('')

  it('grown by a Yjs client is joined by everybody', async t => {
    const relay = await startRelay(t)
    const writer = await openYjs(versions[1], relay, 'large')
    t.after(() => writer.close())
    for (let at = 0; at < megabyte.length; at += 4096) writer.text.insert(at, megabyte.slice(at, at + 4096))
    for (let i = 0; i < 500; i += 1) writer.text.insert((i * 2081) % writer.text.length, 'é')
    for (const peer of await openAll(t, relay, 'large')) assert.ok(await converged([writer, peer]))
  })

  it('pasted with our SDK is joined by everybody', async t => {
    const relay = await startRelay(t)
    const writer = await openCoweave(relay, 'paste')
    t.after(() => writer.close())
    writer.text.insert(0, megabyte)
    await writer.room.flush()
    for (const peer of await openAll(t, relay, 'paste')) assert.equal(peer.content(), megabyte)
  })
})
