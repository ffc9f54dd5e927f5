// The main paths in Firefox; a part of its own, because it needs another browser. `COWEAVE_FIREFOX` names it.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'

import { firefox } from 'playwright-core'

import { Relay } from '../harness/relay.mjs'
import { until } from '../harness/until.mjs'
import { Weather, clear, portal } from '../harness/weather.mjs'
import { servePackage } from './package-page.mjs'
import { WeatherPage } from './weather-page.mjs'

let home
let browser
let served
let relay
let contexts

before(async () => {
  // It refuses to start in the home of somebody else, and leaves things there.
  home = await mkdtemp(join(tmpdir(), 'coweave-firefox-'))
  served = await servePackage()
  browser = await firefox.launch({
    // The Firefox of the system, without the patches that Playwright's own one has.
    channel: 'moz-firefox',
    executablePath: process.env.COWEAVE_FIREFOX ?? '/usr/bin/firefox-esr',
    env: { ...process.env, HOME: home },
  })
})
after(async () => {
  await browser?.close()
  served?.close()
  await rm(home, { recursive: true, force: true, maxRetries: 5 })
})

beforeEach(async () => {
  contexts = []
  relay = await Relay.start()
})
afterEach(async () => {
  await Promise.all(contexts.map(context => context.close()))
  await relay.dispose()
})

async function newContext() {
  const context = await browser.newContext()
  contexts.push(context)
  return context
}

function open(context, url = relay.wsUrl) {
  return WeatherPage.open(context, served.url, url, 'notes')
}

describe('in Firefox', () => {
  it('two people edit together, see each other, and what they wrote is on disk', async () => {
    const ana = await open(await newContext())
    const bo = await open(await newContext())
    await ana.page.evaluate(() => window.room.presence.set({ name: 'Ana' }))
    await ana.type('from Ana, ')
    await bo.untilContent('from Ana, ')
    await bo.type('from Bo')
    await ana.untilContent('from Ana, from Bo')
    await until(() => bo.page.evaluate(() => window.room.presence.peers[0]?.state.name === 'Ana'), 'Bo sees Ana')
    await ana.page.evaluate(() => window.room.flush())
    await relay.kill()
    await relay.start()
    const fresh = await open(await newContext())
    await fresh.untilContent('from Ana, from Bo')
    for (const person of [ana, bo, fresh]) person.assertNoProblem()
  })

  it('what was typed offline is there after a reload, and reaches the other when the relay is back', async () => {
    const ana = await open(await newContext())
    const bo = await open(await newContext())
    await ana.type('together. ')
    await bo.untilContent('together. ')
    await ana.untilTier('durable')
    await relay.kill()
    await until(async () => (await ana.state()) !== 'live', 'the app is told')
    await ana.type('alone. ')
    await ana.untilTier('device')
    await ana.reload()
    assert.equal(await ana.content(), 'together. alone. ')
    assert.equal(await ana.tier(), 'device')
    await relay.start()
    await bo.untilContent('together. alone. ')
    await ana.untilTier('durable')
    for (const person of [ana, bo]) person.assertNoProblem()
  })

  it('two tabs share what they know, offline too, and the one that stays brings what both wrote', async () => {
    const context = await newContext()
    const left = await open(context)
    const right = await open(context)
    await left.type('left. ')
    await right.untilContent('left. ')
    await left.untilTier('durable')
    await relay.kill()
    await until(async () => (await left.state()) !== 'live', 'the app is told')
    await left.type('offline. ')
    await right.untilContent('left. offline. ')
    await left.untilTier('device')
    await left.page.close()
    await relay.start()
    const other = await open(await newContext())
    await other.untilContent('left. offline. ')
    for (const tab of [left, right, other]) tab.assertNoProblem()
  })

  it('a captive portal and a line that dies without a word cost nothing', async t => {
    const line = await Weather.start(relay)
    t.after(() => line.close())
    const ana = await open(await newContext(), line.wsUrl)
    const bo = await open(await newContext())
    await ana.untilState('live')
    line.become(portal)
    await until(async () => (await ana.state()) !== 'live', 'the app is told')
    await ana.type('in the hotel. ')
    await ana.untilTier('device')
    line.become(clear)
    await bo.untilContent('in the hotel. ')
    line.swallow()
    await ana.type('on the train. ')
    await bo.untilContent('in the hotel. on the train. ')
    for (const person of [ana, bo]) person.assertNoProblem()
  })
})
