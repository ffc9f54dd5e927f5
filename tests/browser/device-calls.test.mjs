// A device whose database throws, at each call that the package makes, once or from then on: nothing is lost, and
// what is said to be on the device is.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'

import { Relay } from '../harness/relay.mjs'
import { launchChromium } from './chromium.mjs'
import { installFaults, installFlows } from './device-flows.mjs'
import { NOWHERE, layOut, newProfile, openPage, servePackage, typed } from './device-page.mjs'

/** All calls of IndexedDB that the package makes, and that may fail. */
const CALLS = [
  'bound', 'createObjectStore', 'delete', 'get', 'getAll', 'getAllKeys', 'getKey', 'lowerBound', 'objectStore', 'open',
  'put', 'transaction',
]
/** A flow has far less. */
const CALLS_MAX = 200

let browser
let server
let relay
let smallRelay
const hits = new Set()

before(async () => {
  server = await servePackage()
  // The flows wait for the relay more than for anything else.
  const args = ['--commit-interval-ms', '1']
  relay = await Relay.start({ args })
  smallRelay = await Relay.start({ args: [...args, '--frame-bytes-max', '65536'] })
  browser = await launchChromium()
})
after(async () => {
  await browser?.close()
  await relay?.dispose()
  await smallRelay?.dispose()
  server?.close()
})

async function flowPage(t) {
  const context = await newProfile(t, browser)
  await context.addInitScript(installFaults)
  await context.addInitScript(installFlows)
  const given = [typed(1, 'kept '), typed(2, 'pending ')]
  await context.addInitScript({ content: `Object.assign(window, { given: ${JSON.stringify(given)}, layOut: ${layOut} })` })
  return openPage(context, server.url)
}

/** In whatever order. */
const words = text => text?.split(' ').sort().join(' ')

/** Goes through a flow again and again, while its first call fails, its second one, and so on. */
async function walk(page, given, check) {
  for (let at = 1; at < CALLS_MAX; at += 1) {
    // Each walk makes some instances, and a page has room for a hundred that a busy browser has not collected yet.
    if (at % 5 === 0) await page.requestGC()
    const result = await page.evaluate(given => window.walk(given), { ...given, at }).catch(error => {
      throw new Error(`${given.how}, call ${at}: ${error.message}`)
    })
    const { calls, hit, told, pending, copies, expected, shown, found } = result
    const where = `${given.how}, call ${at} (${hit}): ${JSON.stringify(result)}`
    // What could not be read stays where it is, for a later visit; and the app was told.
    const isDamaged = told.includes('damaged')
    assert.equal(words(found), words(expected), where)
    if (!isDamaged) assert.equal(words(shown), words(expected), where)
    if (!isDamaged && given.relay !== NOWHERE) assert.equal(pending, 0, where)
    assert.deepEqual(copies, [], where)
    assert.ok(!told.includes('lost') || told.at(-1) === 'restored', where)
    check(result, where)
    if (calls < at) return
    hits.add(hit)
  }
  assert.fail('there is no end of calls')
}

/** One failure is nothing to speak of, but for one to open: what does not open now does not a moment later. */
function isHarmless({ hit, told }, where) {
  assert.ok(told.length === 0 || ['open', 'createObjectStore'].includes(hit), where)
}

/** A test of the flow that it is called by, with its relay. */
function endure(getRelay, checkOnce = isHarmless) {
  return async t => {
    const page = await flowPage(t)
    const given = { flow: t.name, relay: getRelay() }
    await walk(page, { ...given, how: 'once' }, checkOnce)
    await walk(page, { ...given, how: 'abort' }, checkOnce)
    let lost = 0
    await walk(page, { ...given, how: 'from then on' }, ({ told }) => (lost += told.includes('lost') ? 1 : 0))
    assert.ok(lost > 10, `${lost} times lost`)
  }
}

describe('with a database that fails at any call, a page', () => {
  describe('loses nothing, and is honest, when it', { concurrency: 3, timeout: 600_000 }, () => {
    it('keeps what is typed offline in a new database', endure(() => NOWHERE))
    it('keeps it in a database of the first version', endure(() => NOWHERE))
    it('keeps what goes to the relay, and notes that it is there', endure(() => relay.wsUrl))
    it('folds what it keeps', endure(() => relay.wsUrl))
    // Its second attempt is the first of its kind.
    it('reads rows one by one', endure(() => relay.wsUrl, () => undefined))
    it('brings what was left behind in another room', endure(() => relay.wsUrl))
    it('sets a copy aside, and tells of it', endure(() => smallRelay.wsUrl))
    it('drops a copy that is on its way to the device', endure(() => smallRelay.wsUrl))
  })

  it('was tried with every call', () => {
    assert.deepEqual([...hits].sort(), CALLS)
  })
})
