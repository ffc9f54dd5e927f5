// Nobody does anything for 70 seconds, longer than any client or proxy of the field waits: nobody is dropped.

import assert from 'node:assert/strict'
import { it } from 'node:test'

import { Relay } from '../harness/relay.mjs'
import { sleep, until } from '../harness/until.mjs'
import { openCoweave, openYjs, versions } from './peers.mjs'

const IDLE_MS = 70_000

it('an idle room keeps every client for 70 seconds', async t => {
  const relay = await Relay.start()
  t.after(() => relay.dispose())
  const sdk = await openCoweave(relay, 'idle')
  const others = await Promise.all(versions.map(version => openYjs(version, relay, 'idle')))
  // Without presence there is nothing to renew, and so no traffic of the clients' own.
  const silent = await Promise.all(versions.map(version => openYjs(version, relay, 'idle-silent')))
  silent.forEach(peer => peer.awareness.setLocalState(null))
  const all = [...others, ...silent]
  t.after(() => [sdk, ...all].forEach(peer => peer.close()))
  const states = [sdk.room.status.state]
  sdk.room.on('status', status => states.push(status.state))
  const before = all.map(peer => peer.connection.length)

  await sleep(IDLE_MS)

  all.forEach((peer, index) => assert.deepEqual(peer.connection.slice(before[index]), [], peer.version))
  assert.deepEqual([...new Set(states)], ['live'])
  sdk.text.insert(0, 'awake')
  await until(() => others.every(peer => peer.content() === 'awake'), 'everybody still hears')
})
