// Unmodified Yjs clients and our SDK in the same room: text, structure and presence in both directions.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'

import { Relay } from '../harness/relay.mjs'
import { sleep, until } from '../harness/until.mjs'
import { converged, openCoweave, openYjs, versions, Y } from './peers.mjs'

let relay
let roomCount = 0
const newRoom = () => `both-ways-${++roomCount}`

before(async () => { relay = await Relay.start() })
after(() => relay.dispose())

/** Opens a room with these clients, and closes them when the test is over. */
async function together(t, roomName, clients) {
  const peers = []
  t.after(() => peers.forEach(peer => peer.close()))
  for (const client of clients) {
    peers.push(client === 'coweave' ? await openCoweave(relay, roomName) : await openYjs(client, relay, roomName))
  }
  return peers
}

describe('text', () => {
  for (const version of versions) {
    it(`of ${version} reaches the SDK and back, with deletions and characters beyond the basic plane`, async t => {
      const [sdk, yjs] = await together(t, newRoom(), ['coweave', version])
      yjs.text.insert(0, 'Hello 👋🏽 wörld')
      await until(() => sdk.content() === 'Hello 👋🏽 wörld', () => `the SDK shows ${sdk.content()}`)
      sdk.text.delete(0, 'Hello 👋🏽'.length)
      sdk.text.insert(0, 'Bye 🌍')
      await until(() => yjs.content() === 'Bye 🌍 wörld', () => `${version} shows ${yjs.content()}`)
    })
  }

  it('typed by everybody at once ends equal, with nothing lost', async t => {
    const peers = await together(t, newRoom(), ['coweave', ...versions, 'coweave'])
    const letters = ['a', 'b', 'c', 'd']
    await Promise.all(peers.map(async (peer, index) => {
      for (let i = 0; i < 60; i += 1) {
        const { length } = peer.content()
        peer.text.insert(Math.floor((length * ((i * 7) % 11)) / 11), letters[index])
        if (i % 10 === 9) peer.text.delete(peer.content().indexOf(letters[index]), 1)
        await sleep(i % 4)
      }
    }))
    const text = await converged(peers)
    for (const letter of letters) assert.equal(text.split(letter).length - 1, 54, `letters ${letter} in ${text}`)
  })

  it('written before a client came is there when it comes', async t => {
    const roomName = newRoom()
    const [first] = await together(t, roomName, [versions[0]])
    first.text.insert(0, 'early bird')
    await until(() => first.provider.synced, 'synced')
    const [sdk, late] = await together(t, roomName, ['coweave', versions[1]])
    assert.equal(await converged([first, sdk, late]), 'early bird')
  })

  it('of a room whose name has slashes, spaces and accents is one room for all', async t => {
    const peers = await together(t, 'plans/été 2027', ['coweave', ...versions])
    peers.forEach(peer => peer.text.insert(0, '.'))
    await until(() => peers.every(peer => peer.content() === '...'), 'everybody shows all three dots')
  })
})

describe('structure', () => {
  it('that only Yjs clients know survives our edits', async t => {
    const roomName = newRoom()
    const [sdk, yjs] = await together(t, roomName, ['coweave', versions[1]])
    yjs.text.insert(0, 'plain bold plain')
    yjs.text.format(6, 4, { bold: true })
    const meta = yjs.doc.getMap('meta')
    meta.set('title', 'Plan')
    meta.set('tags', Y.Array.from(['a', 2, { deep: [true, null] }]))
    meta.set('bytes', new Uint8Array([1, 2, 255]))
    const fragment = yjs.doc.getXmlFragment('default')
    const paragraph = new Y.XmlElement('paragraph')
    fragment.insert(0, [paragraph])
    paragraph.setAttribute('level', '2')
    paragraph.insert(0, [new Y.XmlText('rich')])
    await until(() => sdk.content() === 'plain bold plain', 'the SDK has the text')
    sdk.text.insert(0, 'SDK: ')
    sdk.text.insert(sdk.text.length, '!')

    const [other] = await together(t, roomName, [versions[0]])
    await converged([sdk, yjs, other])
    assert.deepEqual(other.text.toDelta(), [
      { insert: 'SDK: plain ' }, { insert: 'bold', attributes: { bold: true } }, { insert: ' plain!' },
    ])
    assert.deepEqual(other.doc.getMap('meta').toJSON(), {
      title: 'Plan', tags: ['a', 2, { deep: [true, null] }], bytes: new Uint8Array([1, 2, 255]),
    })
    assert.equal(other.doc.getXmlFragment('default').toString(), '<paragraph level="2">rich</paragraph>')
  })

  it('that is nested deeper than a document can be deleted reaches nobody', async t => {
    const [hostile, yjs, sdk] = await together(t, newRoom(), [...versions, 'coweave'])
    const outer = new Y.Map()
    hostile.doc.getArray('array').insert(0, [outer])
    await until(() => sdk.room.doc.array('array').length === 1, 'the SDK has the outermost map')
    hostile.doc.transact(() => {
      let inner = outer
      for (let level = 1; level < 10_000; level += 1) inner = inner.set('a', new Y.Map())
    })
    sdk.text.insert(0, 'un')
    await until(() => yjs.content() === 'un', 'the others go on')
    // Who has it all cannot delete it; the others have only what was taken.
    assert.throws(() => hostile.doc.getArray('array').delete(0, 1), RangeError)
    sdk.room.doc.array('array').delete(0, 1)
    yjs.text.insert(2, 'harmed')
    assert.equal(await converged([yjs, sdk]), 'unharmed')
    const [late] = await together(t, `both-ways-${roomCount}`, ['coweave'])
    assert.equal(late.content(), 'unharmed')
    assert.deepEqual(late.room.doc.array('array').toJSON(), [])
    assert.equal(sdk.room.status.state, 'live')
  })
})

describe('presence', () => {
  for (const version of versions) {
    it(`is seen both ways with ${version}, and goes with its owner`, async t => {
      const [sdk, yjs] = await together(t, newRoom(), ['coweave', version])
      sdk.room.presence.set({ name: 'Ana', color: '#c2683f' })
      yjs.awareness.setLocalState({ user: { name: 'Bo', color: '#3b6fb5' } })
      const seenByYjs = () => [...yjs.awareness.getStates().values()].find(state => state.name === 'Ana')
      const seenBySdk = () => sdk.peers.find(peer => peer.state.user?.name === 'Bo')
      await until(seenByYjs, `${version} sees the SDK`)
      await until(seenBySdk, `the SDK sees ${version}`)

      sdk.room.presence.set({ name: 'Ana', color: '#000000' })
      await until(() => seenByYjs()?.color === '#000000', `${version} sees the change`)
      yjs.awareness.setLocalStateField('user', { name: 'Bo', color: '#111111' })
      await until(() => seenBySdk()?.state.user.color === '#111111', 'the SDK sees the change')

      // The socket is cut without a goodbye: the relay has to say it.
      yjs.provider.shouldConnect = false
      yjs.provider.ws.terminate()
      await until(() => !seenBySdk(), `the SDK sees ${version} go`, 15_000)
    })

    it(`of the SDK is gone for ${version} when its room is disposed`, async t => {
      const [yjs] = await together(t, newRoom(), [version])
      const sdk = await openCoweave(relay, `both-ways-${roomCount}`)
      sdk.room.presence.set({ name: 'Ana' })
      const others = () => [...yjs.awareness.getStates().keys()].filter(id => id !== yjs.doc.clientID)
      await until(() => others().length === 1, `${version} sees the SDK`)
      sdk.close()
      await until(() => others().length === 0, `${version} sees the SDK go`, 15_000)
    })
  }

  it('is told to whoever comes later', async t => {
    const roomName = newRoom()
    const [sdk, yjs] = await together(t, roomName, ['coweave', versions[0]])
    sdk.room.presence.set({ name: 'Ana' })
    yjs.awareness.setLocalState({ user: { name: 'Bo' } })
    const [lateSdk, lateYjs] = await together(t, roomName, ['coweave', versions[1]])
    const hasBoth = states => states.some(state => state.name === 'Ana') && states.some(state => state.user?.name === 'Bo')
    await until(() => hasBoth(lateSdk.peers.map(peer => peer.state)), 'the late SDK sees both')
    await until(() => hasBoth([...lateYjs.awareness.getStates().values()]), 'the late Yjs client sees both')
  })

  it('holds positions that either side can read raw', async t => {
    const [sdk, yjs] = await together(t, newRoom(), ['coweave', versions[1]])
    yjs.text.insert(0, 'one two')
    await until(() => sdk.content() === 'one two', 'the SDK has the text')
    for (const index of [0, 3, 7]) {
      const ours = JSON.parse(JSON.stringify(sdk.text.position(index)))
      assert.equal(Y.createAbsolutePositionFromRelativePosition(ours, yjs.doc).index, index)
      const theirs = JSON.parse(JSON.stringify(Y.createRelativePositionFromTypeIndex(yjs.text, index)))
      assert.equal(sdk.text.resolve(theirs), index)
    }
  })
})
