// A device that turns out to hold another history than the room that is open: both are kept, and apart.

import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'

import { Relay } from '../harness/relay.mjs'
import { launchChromium } from './chromium.mjs'
import { installFaults } from './device-flows.mjs'
import { enter, enterAgain, keep, newProfile, openPage, openRoom, read, servePackage, type } from './device-page.mjs'

let browser
let server
let relay

before(async () => {
  server = await servePackage()
  relay = await Relay.start()
  browser = await launchChromium()
})
after(async () => {
  await browser?.close()
  await relay?.dispose()
  server?.close()
})

const isSaved = page => page.waitForFunction(() => window.room.saved.tier === 'durable')

const copies = page => page.evaluate(async () => {
  const copies = await window.room.copies()
  return copies.map(copy => [copy.error.code, copy.text('body')])
})

describe('a database that comes back with another history', () => {
  it('has that set aside and offered, and keeps the room from then on', async t => {
    const options = { relay: relay.wsUrl }
    const context = await newProfile(t, browser)
    const first = await openRoom(context, server.url, options)
    await keep(first, 'the old history')
    await isSaved(first)
    await relay.kill()
    await keep(first, ', and more of it')
    await first.close()
    // The relay's data is gone, and the room begins anew while the device cannot be used.
    await rm(relay.dataDir, { recursive: true })
    await relay.start()
    await context.addInitScript(installFaults)
    const page = await openPage(context, server.url)
    await page.evaluate(() => Object.assign(window.faults, { at: 1, how: 'from then on' }))
    await enter(page, options)
    await page.waitForFunction(() => window.room.storage.kind === 'lost')
    await type(page, 'the new history')
    await isSaved(page)
    await page.evaluate(() => {
      window.codes = []
      window.room.on('storage-lost', error => window.codes.push(error.code))
      window.faults.at = Infinity
      window.dispatchEvent(new Event('online'))
    })
    await page.waitForFunction(() => window.room.storage.kind === 'device')
    assert.deepEqual(await page.evaluate(() => window.codes), ['room.lineage_mismatch'])
    const offered = [['room.lineage_mismatch', 'the old history, and more of it']]
    assert.deepEqual(await copies(page), offered)
    await keep(page, ' goes on')
    await enterAgain(page, options)
    assert.equal(await read(page), 'the new history goes on')
    assert.deepEqual(await copies(page), offered)
  })
})
