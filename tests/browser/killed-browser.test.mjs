// A browser that is killed as a whole in the middle of a write: what was said to be on the device is there, unless the
// browser itself throws away all that it keeps for the site; then the app is told.

import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'

import { Relay } from '../harness/relay.mjs'
import { startChromium } from './chromium.mjs'
import { keep, openRoom, read, servePackage, waitForDevice } from './device-page.mjs'

const ATTEMPTS_MAX = 6
const KILLS = 3

let server
let relay

before(async () => {
  server = await servePackage()
  relay = await Relay.start()
})
after(async () => {
  await relay?.dispose()
  server?.close()
})

describe('a browser that is killed', () => {
  it('in the middle of a write: what was said to be on the device is there', { timeout: 240_000 }, async t => {
    let attempts = 1
    while (!await keepsItsWord(t)) {
      assert.ok(attempts < ATTEMPTS_MAX, 'Chromium threw away the databases of the site each time')
      attempts += 1
    }
    t.diagnostic(`Chromium kept the databases of the site in attempt ${attempts}`)
  })

  // LevelDB writes a record in two parts. After a kill between them it goes on behind the first one, takes the result
  // for corrupt at the start after the next, and Chromium then deletes every database of the site.
  it('between the two parts of a record of its own: the app is told, and the relay brings the room', { timeout: 120_000 }, async t => {
    const room = { relay: relay.wsUrl, room: 'torn' }
    const profile = await newProfileFolder(t)
    const first = await start(t, profile, room)
    await keep(first.page, 'at the relay, ')
    await first.page.evaluate(() => window.room.flush())
    await first.kill()
    await tearLog(profile)
    const second = await start(t, profile, room)
    assert.equal(await read(second.page), 'at the relay, ')
    await keep(second.page, 'behind the torn record, ')
    await second.page.evaluate(() => window.room.flush())
    await second.kill()

    const third = await start(t, profile, room)
    assert.equal(await isWitnessThere(third.page), false, 'this Chromium does not throw its databases away')
    assert.match(await third.page.evaluate(() => window.room.storage.error.message), /has thrown away all that this device kept/)
    assert.deepEqual(await third.page.evaluate(() => window.events.map(([event]) => event)), ['storage-damaged'])
    await third.page.evaluate(() => window.room.synced)
    await keep(third.page, 'and more')
    await third.kill()
    const fourth = await start(t, profile, room)
    assert.equal(await read(fourth.page), 'at the relay, behind the torn record, and more')
    assert.deepEqual(await fourth.page.evaluate(() => [window.room.storage.kind, window.events]), ['device', []])
    await fourth.kill()
  })
})

/** Ends the log of Chromium's databases of a site with the head of a record. */
async function tearLog(profile) {
  const sites = join(profile, 'Default', 'IndexedDB')
  const folder = join(sites, (await readdir(sites)).find(name => name.endsWith('.leveldb')))
  const log = (await readdir(folder)).find(name => name.endsWith('.log'))
  // A checksum, a length of 100, and that the record is whole.
  await appendFile(join(folder, log), Buffer.from([1, 2, 3, 4, 100, 0, 1]))
}

/** Kills a browser again and again; the answer is `false` when it threw away every database of the site, ours or not. */
async function keepsItsWord(t) {
  const profile = await newProfileFolder(t)
  let said = ''
  for (let kills = 0; ; kills += 1) {
    const { page, kill } = await start(t, profile)
    if (!await isWitnessThere(page)) {
      await kill()
      return false
    }
    const text = await read(page)
    const about = await page.evaluate(() => JSON.stringify([window.room.storage, window.events]))
    assert.ok(text.startsWith(said), `${text} is there, ${said} was said to be: ${about}`)
    const lastSaid = kills < KILLS ? await typeWithoutPause(page, kills) : () => said
    await kill()
    if (kills === KILLS) return true
    said = lastSaid()
  }
}

/** Types until it was said often enough that all is on the device; the answer gives the text that was there last. */
async function typeWithoutPause(page, round) {
  let said = ''
  const enough = new Promise(resolve => {
    let times = 0
    page.on('console', message => {
      if (message.type() !== 'log') return
      said = message.text()
      times += 1
      if (times === 20 + 7 * round) resolve()
    })
  })
  await page.evaluate(round => {
    const body = window.room.doc.text('body')
    let typed = 0
    const write = () => body.insert(body.length, `${round}-${typed++} `)
    // The next write is under way whenever one is said to be done.
    window.room.on('saved', ({ tier }) => {
      if (tier !== 'device') return
      console.log(body.toString())
      write()
    })
    write()
  }, round)
  await enough
  return () => said
}

/** A profile of a browser that was here before, with a witness: a database of the same site that nobody of ours touches. */
async function newProfileFolder(t) {
  const profile = await mkdtemp(join(tmpdir(), 'coweave-profile-'))
  t.after(() => rm(profile, { recursive: true, force: true, maxRetries: 5 }))
  const { page, close } = await start(t, profile)
  await isWitnessThere(page)
  // Which sites keep something Chromium itself writes down late, and deletes what it does not know of.
  await close()
  return profile
}

async function start(t, profile, options) {
  const browser = await startChromium(t, profile)
  const page = await openRoom(browser.context, server.url, options)
  await waitForDevice(page)
  return { page, ...browser }
}

/** Whether the witness is there; it is from now on. */
function isWitnessThere(page) {
  return page.evaluate(() => new Promise((resolve, reject) => {
    let isThere = true
    const request = indexedDB.open('witness')
    request.onupgradeneeded = () => { isThere = false }
    request.onerror = () => reject(request.error)
    request.onsuccess = () => {
      request.result.close()
      resolve(isThere)
    }
  }))
}
