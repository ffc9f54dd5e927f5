// Several tabs of one browser: they show the same with or without a relay, share one socket, and bring each other's edits.

import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

import { connect } from '../../npm/dist/node.js'
import { Relay } from '../harness/relay.mjs'
import { until } from '../harness/until.mjs'
import { launchChromium } from './chromium.mjs'
import { rows } from './device-page.mjs'
import { openNotes } from './notes-page.mjs'
import { serveFolder } from './static-server.mjs'

const dist = fileURLToPath(new URL('../../examples/notes/dist', import.meta.url))
/** What a tab did not bring, another one brings within three seconds. */
const TAKEN_OVER_MS_MAX = 3_000

let browser
let relay
let pages
let context
let sockets
let roomCount = 0

before(async () => {
  browser = await launchChromium()
  // The page has to come from somewhere while there is no relay.
  pages = await serveFolder(dist)
})
after(async () => {
  await browser.close()
  await pages.close()
})

beforeEach(async () => {
  relay = await Relay.start({ args: ['--allow-origin', pages.url] })
  await newContext()
})

afterEach(async () => {
  await context.close()
  await relay.dispose()
})

async function newContext(init = () => undefined) {
  await context?.close()
  context = await browser.newContext()
  await context.addInitScript(init)
  sockets = new Map()
  context.on('page', page => {
    sockets.set(page, 0)
    page.on('close', () => sockets.delete(page))
    page.on('websocket', socket => {
      sockets.set(page, sockets.get(page) + 1)
      socket.on('close', () => sockets.set(page, sockets.get(page) - 1))
    })
  })
}

const openSockets = () => [...sockets.values()].reduce((sum, count) => sum + count, 0)

async function openTab(roomName) {
  return openNotes(context, { origin: pages.url, roomName, relay: relay.wsUrl })
}

async function twoTabs() {
  const roomName = `tabs-${++roomCount}`
  const first = await openTab(roomName)
  await first.untilConnection(/^Live$/)
  const second = await openTab(roomName)
  await second.untilConnection(/^Live$/)
  return [first, second, roomName]
}

async function untilBoth(first, second, text) {
  await first.untilContent(text)
  await second.untilContent(text)
}

/** What somebody sees in another browser. */
async function othersSee(roomName) {
  const other = await browser.newContext()
  const page = await openNotes(other, { origin: pages.url, roomName, relay: relay.wsUrl })
  await page.untilConnection(/^Live$/)
  const text = await page.content()
  await other.close()
  return text
}

/** Somebody elsewhere, who has no page that takes its time to open. */
async function friend(t, roomName) {
  const client = connect(relay.wsUrl)
  t.after(() => client.dispose())
  const room = client.room(roomName)
  await room.loaded
  const text = room.doc.text('body')
  return { room, untilHas: words => until(() => text.toString() === words, () => `the friend has ${words}, not ${text}`) }
}

describe('the tabs of a browser', () => {
  it('share one socket', async () => {
    const [first, second] = await twoTabs()
    assert.equal(openSockets(), 1)
    await first.type('from the first, ')
    await second.untilContent('from the first, ')
    await second.caretTo(16)
    await second.type('from the second')
    await untilBoth(first, second, 'from the first, from the second')
    await first.untilSaved()
    await second.untilSaved()
    assert.equal(openSockets(), 1)
    assert.deepEqual([...first.problems, ...second.problems], [])
  })

  it('show the same without a relay, and each says of its own edits that they are on this device', async () => {
    const [first, second, roomName] = await twoTabs()
    await relay.stop()
    await first.untilConnection(/^Offline/)
    await first.type('written ')
    await second.untilContent('written ')
    await second.caretTo(8)
    await second.type('offline')
    await untilBoth(first, second, 'written offline')
    const third = await openTab(roomName)
    await third.untilContent('written offline')
    await third.type('! ')
    await untilBoth(first, second, '! written offline')
    await relay.start()
    await third.untilSaved()
    await first.untilSaved()
    assert.equal(await othersSee(roomName), '! written offline')
    assert.equal(openSockets(), 1)
  })

  it('go on over another tab’s socket within three seconds when the leader is closed', async () => {
    const [first, second, roomName] = await twoTabs()
    await first.type('before ')
    await second.untilContent('before ')
    await first.page.close()
    const closedAt = performance.now()
    await second.caretTo(7)
    await second.page.keyboard.insertText('after')
    await second.untilSaved()
    const took = performance.now() - closedAt
    assert.ok(took < TAKEN_OVER_MS_MAX, `it took ${took} ms`)
    assert.equal(await othersSee(roomName), 'before after')
    assert.equal(openSockets(), 1)
  })

  it('bring what a tab wrote that was closed before it could', async () => {
    const [first, second, roomName] = await twoTabs()
    await relay.stop()
    await second.untilConnection(/^Offline/)
    await second.type('last words')
    await first.untilContent('last words')
    await second.page.close()
    await relay.start()
    await first.untilConnection(/^Live$/)
    await first.untilSaved()
    assert.equal(await othersSee(roomName), 'last words')
  })

  it('bring what a tab wrote that is gone, in a room that no other tab has open', async t => {
    const roomName = `tabs-${++roomCount}`
    const lost = await openTab(roomName)
    await lost.untilConnection(/^Live$/)
    const other = await openTab(`${roomName}-other`)
    await other.untilConnection(/^Live$/)
    await relay.stop()
    await lost.untilConnection(/^Offline/)
    await lost.type('last words')
    await lost.untilSaved('On this device')
    await lost.page.close()
    await relay.start()
    const bo = await friend(t, roomName)
    const backAt = performance.now()
    await other.page.evaluate(() => dispatchEvent(new Event('online')))
    await bo.untilHas('last words')
    const took = performance.now() - backAt
    assert.ok(took < TAKEN_OVER_MS_MAX, `it took ${took} ms`)
    await other.untilConnection(/^Live$/)
    assert.equal(await other.content(), '')
    assert.deepEqual(other.problems, [])
    await until(async () => (await rows(other.page)).pending.length === 0, () => 'nothing is left to be brought')
  })

  it('bring on a later visit to another room what was left behind', async t => {
    const roomName = `tabs-${++roomCount}`
    const lost = await openTab(roomName)
    await lost.untilConnection(/^Live$/)
    await relay.stop()
    await lost.untilConnection(/^Offline/)
    await lost.type('left behind')
    await lost.untilSaved('On this device')
    await lost.page.close()
    await relay.start()
    const bo = await friend(t, roomName)
    await bo.room.synced
    const next = await openTab(`${roomName}-other`)
    // A page takes as long to open as the machine does; what is left behind comes as soon as it is connected.
    await next.untilConnection(/^Live$/)
    const liveAt = performance.now()
    await bo.untilHas('left behind')
    const took = performance.now() - liveAt
    assert.ok(took < TAKEN_OVER_MS_MAX, `it took ${took} ms`)
    assert.equal(openSockets(), 1)
    assert.deepEqual(next.problems, [])
  })

  it('each use a socket of their own where there are no locks', async () => {
    await newContext(() => {
      Object.defineProperty(navigator, 'locks', { value: undefined })
    })
    const [first, second] = await twoTabs()
    assert.equal(openSockets(), 2)
    await first.type('still together')
    await second.untilContent('still together')
    await second.untilSaved()
  })
})
