// Several tabs of one browser: they show the same with or without a relay, share one socket, and bring each other's edits.

import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

import { Relay } from '../harness/relay.mjs'
import { until } from '../harness/until.mjs'
import { launchChromium } from './chromium.mjs'
import { rows } from './device-page.mjs'
import { openNotes } from './notes-page.mjs'
import { serveFolder } from './static-server.mjs'

const dist = fileURLToPath(new URL('../../examples/notes/dist', import.meta.url))

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

/** Somebody in another browser waits for a text. */
async function untilOthersSee(roomName, text) {
  const other = await browser.newContext()
  const page = await openNotes(other, { origin: pages.url, roomName, relay: relay.wsUrl })
  await page.untilContent(text)
  await other.close()
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
    const closedAt = Date.now()
    await first.page.close()
    await second.caretTo(7)
    await second.type('after')
    await second.untilSaved()
    assert.ok(Date.now() - closedAt < 3_000, `it took ${Date.now() - closedAt} ms`)
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

  it('bring what a tab wrote that is gone, in a room that no other tab has open', async () => {
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
    const backAt = Date.now()
    await other.page.evaluate(() => dispatchEvent(new Event('online')))
    await untilOthersSee(roomName, 'last words')
    assert.ok(Date.now() - backAt < 3_000, `it took ${Date.now() - backAt} ms`)
    await other.untilConnection(/^Live$/)
    assert.equal(await other.content(), '')
    assert.deepEqual(other.problems, [])
    await until(async () => (await rows(other.page)).pending.length === 0, () => 'nothing is left to be brought')
  })

  it('bring on a later visit to another room what was left behind', async () => {
    const roomName = `tabs-${++roomCount}`
    const lost = await openTab(roomName)
    await lost.untilConnection(/^Live$/)
    await relay.stop()
    await lost.untilConnection(/^Offline/)
    await lost.type('left behind')
    await lost.untilSaved('On this device')
    await lost.page.close()
    await relay.start()
    const visitAt = Date.now()
    const next = await openTab(`${roomName}-other`)
    await untilOthersSee(roomName, 'left behind')
    assert.ok(Date.now() - visitAt < 3_000, `it took ${Date.now() - visitAt} ms`)
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
