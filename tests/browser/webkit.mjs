// The main paths in WebKit, as a smoke test: a part of its own, because it needs another browser and a display.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'

import { Relay } from '../harness/relay.mjs'
import { until } from '../harness/until.mjs'
import { servePackage } from './package-page.mjs'
import { WebKitSession } from './webkit-session.mjs'

let browser
let served
let relay
let client

before(async () => {
  served = await servePackage()
  relay = await Relay.start()
  browser = await WebKitSession.start()
  const { connect } = await import('../../npm/dist/node.js')
  client = connect(relay.wsUrl)
})
after(async () => {
  client?.dispose()
  await browser?.close()
  await relay?.dispose()
  served?.close()
})

/** Somebody in another place. */
async function friend(name) {
  const room = client.room(name)
  await room.loaded
  return room.doc.text('body')
}

/** Enters a room with the tab in front. */
async function enter(name) {
  await browser.goto(served.url)
  await until(() => browser.evaluate(() => 'coweave' in window), 'the package is loaded')
  await join(name)
}

function join(name) {
  return browser.evaluate(async (url, name) => {
    const client = window.coweave.connect(url)
    const room = client.room(name)
    await room.loaded
    Object.assign(window, { client, room, text: room.doc.text('body') })
  }, relay.wsUrl, name)
}

const content = () => browser.evaluate(() => window.text.toString())
const tier = () => browser.evaluate(() => window.room.saved.tier)
const type = words => browser.evaluate(words => { window.text.insert(window.text.length, words) }, words)
const untilContent = words => until(async () => await content() === words, `the page has ${words}`)
const untilTier = name => until(async () => await tier() === name, `the edits are ${name}`)

describe('in WebKit', () => {
  it('two people edit together, and what they wrote is on disk', async () => {
    await enter('together')
    const text = await friend('together')
    await type('from the page, ')
    await until(() => text.toString() === 'from the page, ', 'the friend has it')
    text.insert(text.length, 'from the friend')
    await untilContent('from the page, from the friend')
    await browser.evaluate(() => window.room.flush())
    assert.equal(await tier(), 'durable')
  })

  it('what was typed offline is there after a reload, and reaches the other when the relay is back', async () => {
    await enter('offline')
    const text = await friend('offline')
    await type('together. ')
    await untilTier('durable')
    await relay.kill()
    await type('alone. ')
    await untilTier('device')
    await browser.reload()
    await until(() => browser.evaluate(() => 'coweave' in window), 'the package is loaded')
    await join('offline')
    assert.deepEqual([await content(), await tier()], ['together. alone. ', 'device'])
    await relay.start()
    await until(() => text.toString() === 'together. alone. ', 'the friend has it')
    await untilTier('durable')
  })

  it('two tabs share what they know, offline too, and the one that stays brings what both wrote', async () => {
    const left = await browser.window()
    await enter('tabs')
    const right = await browser.openTab()
    await enter('tabs')
    await relay.kill()
    await browser.show(left)
    await type('left. ')
    await browser.show(right)
    await untilContent('left. ')
    await browser.show(left)
    await untilTier('device')
    await browser.closeTab()
    await browser.show(right)
    await type('right. ')
    const text = await friend('tabs')
    await relay.start()
    await until(() => text.toString() === 'left. right. ', 'the friend has both')
  })
})
