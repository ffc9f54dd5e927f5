// What a relay refuses, in a browser: roles, tokens, and copies that are set aside and found again.

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

import { Relay } from '../harness/relay.mjs'
import { until } from '../harness/until.mjs'
import { launchChromium } from './chromium.mjs'
import { rows, untilWritten } from './device-page.mjs'
import { EDITOR, ScriptedRelay, VIEWER } from './scripted-relay.mjs'
import { serveFolder } from './static-server.mjs'

const packageFolder = fileURLToPath(new URL('../../npm', import.meta.url))
const ROOM = 'notes/today'
const ADMIN_TOKEN = 'a-token-for-the-tests'

let browser
let served

before(async () => {
  browser = await launchChromium()
  served = await serveFolder(packageFolder)
})
after(async () => {
  await browser?.close()
  served?.close()
})

/** A browser with a device of its own. */
async function device(t) {
  const context = await browser.newContext()
  t.after(() => context.close())
  return context
}

/** A tab with a room, and what it was told. */
async function openTab(context, relay, options) {
  const page = await context.newPage()
  await enter(page, relay, options)
  return page
}

async function enter(page, relay, options = {}) {
  await page.goto(`${served.url}/dist/web.js`)
  await page.evaluate(async ([url, name, options]) => {
    const { connect } = await import('/dist/web.js')
    const told = { tokens: 0, roles: [], copies: [] }
    const client = connect(url, { token: () => `token ${told.tokens += 1}` })
    const room = client.room(name, options)
    const text = room.doc.text('body')
    room.on('role', role => told.roles.push(role))
    room.on('set-aside', copy => told.copies.push(copy.error.code))
    await room.loaded
    Object.assign(window, { told, client, room, text })
  }, [relay, ROOM, options])
}

const isLive = page => page.waitForFunction(() => window.room.status.state === 'live')
const reads = (page, content) => page.waitForFunction(content => window.text.toString() === content, content)
const told = page => page.evaluate(() => window.told)
const status = page => page.evaluate(() => window.room.status)

/** Types at the beginning; the answer is the code of what was thrown. */
function type(page, content) {
  return page.evaluate(content => {
    try {
      window.text.insert(0, content)
      return null
    } catch (error) {
      return error.code
    }
  }, content)
}

/** What was set aside on this device, as the app sees it. */
function copies(page) {
  return page.evaluate(async () => {
    const copies = await window.room.copies()
    return copies.map(copy => ({ code: copy.error.code, text: copy.text('body'), isBytes: copy.update instanceof Uint8Array }))
  })
}

/** After a reload the copy is there, can be read, and is gone when the app drops it. */
async function isFoundAgainAndDropped(page, relay, copy) {
  await until(async () => (await copies(page)).length > 0, 'there is a copy')
  await untilWritten(page)
  await enter(page, relay)
  assert.deepEqual(await copies(page), [{ ...copy, isBytes: true }])
  await page.evaluate(async () => {
    for (const copy of await window.room.copies()) await copy.drop()
  })
  assert.deepEqual(await copies(page), [])
  await enter(page, relay)
  assert.deepEqual(await copies(page), [])
}

describe('a relay that says what a session may do', () => {
  let relay

  beforeEach(async () => {
    relay = await ScriptedRelay.start()
    relay.doc.getText('body').insert(0, 'theirs')
  })
  afterEach(() => relay.close())

  it('has viewers that read and are present, and cannot write', async t => {
    relay.role = VIEWER
    const page = await openTab(await device(t), relay.url)
    await isLive(page)
    await reads(page, 'theirs')
    assert.equal(await page.evaluate(() => window.room.role), 'viewer')
    assert.deepEqual((await told(page)).roles, ['viewer'])
    assert.equal(await type(page, 'mine, '), 'room.read_only')
    assert.equal(await page.evaluate(() => window.text.toString()), 'theirs')
    assert.deepEqual(await page.evaluate(() => window.room.saved.pending), 0)
    await page.evaluate(() => window.room.presence.set({ name: 'Ana' }))
    await until(() => relay.presences.some(json => json.includes('Ana')), 'the presence arrives')
  })

  it('is right about a viewer while it cannot be reached', async t => {
    relay.role = VIEWER
    const context = await device(t)
    const page = await openTab(context, relay.url)
    await isLive(page)
    await page.waitForFunction(() => window.room.saved.tier === 'durable')
    await untilWritten(page)
    await page.close()
    relay.denies = 'relay.draining'
    const again = await openTab(context, relay.url)
    assert.equal(await again.evaluate(() => window.room.role), 'viewer')
    assert.equal(await type(again, 'mine, '), 'room.read_only')
    assert.deepEqual((await told(again)).roles, ['viewer'])
    assert.equal(await again.evaluate(() => window.text.toString()), 'theirs')
  })

  it('changes a role in mid-session, and sets aside what was not sent', async t => {
    const page = await openTab(await device(t), relay.url)
    await isLive(page)
    assert.equal(await type(page, 'taken, '), null)
    await until(() => relay.doc.getText('body').toString() === 'taken, theirs', 'the edit arrives')
    await page.waitForFunction(() => window.room.saved.pending === 0)
    relay.assign(VIEWER)
    await page.waitForFunction(() => window.room.role === 'viewer')
    assert.equal(await type(page, 'no, '), 'room.read_only')
    relay.assign(EDITOR)
    await page.waitForFunction(() => window.room.role === 'editor')
    relay.refuses = 'silence'
    assert.equal(await type(page, 'mine, '), null)
    await page.waitForFunction(() => window.room.saved.pending === 1)
    relay.assign(VIEWER)
    await reads(page, 'taken, theirs')
    await isLive(page)
    const { roles, copies } = await told(page)
    assert.deepEqual([roles, copies], [['viewer', 'editor', 'viewer'], ['room.read_only']])
    assert.deepEqual(await page.evaluate(() => window.room.saved.pending), 0)
    await isFoundAgainAndDropped(page, relay.url, { code: 'room.read_only', text: 'mine, taken, theirs' })
  })

  it('refuses an edit for good, and the app keeps it: a draft, also at the next visit, until one has it set aside', async t => {
    const keep = { refused: 'keep' }
    relay.refuses = 'update.malformed'
    const page = await openTab(await device(t), relay.url, keep)
    await isLive(page)
    await type(page, 'mine, ')
    const isDraft = async (content, pending) => {
      await page.waitForFunction(() => window.room.status.state === 'stopped')
      assert.equal(await page.evaluate(() => window.room.status.error.code), 'update.malformed')
      assert.equal(await page.evaluate(() => window.text.toString()), content)
      await page.waitForFunction(() => window.room.saved.tier === 'device')
      assert.equal(await page.evaluate(() => window.room.saved.pending), pending)
      assert.deepEqual([(await told(page)).copies, await copies(page)], [[], []])
    }
    await isDraft('mine, theirs', 1)
    assert.equal(await type(page, 'more of '), null)
    await isDraft('more of mine, theirs', 2)
    await enter(page, relay.url, keep)
    await isDraft('more of mine, theirs', 2)
    assert.equal(relay.doc.getText('body').toString(), 'theirs')
    await enter(page, relay.url)
    await reads(page, 'theirs')
    await isFoundAgainAndDropped(page, relay.url, { code: 'update.malformed', text: 'more of mine, theirs' })
  })

  it('refuses an edit for good: it is set aside once, and the tabs of the device go on together', async t => {
    const context = await device(t)
    const pages = [await openTab(context, relay.url), await openTab(context, relay.url)]
    for (const page of pages) await isLive(page)
    relay.refuses = 'update.malformed'
    await type(pages[0], 'hostile, ')
    for (const page of pages) {
      await reads(page, 'theirs')
      await isLive(page)
    }
    relay.refuses = null
    await type(pages[1], 'more of ')
    for (const page of pages) await page.waitForFunction(() => window.room.saved.pending === 0)
    await until(() => relay.doc.getText('body').toString() === 'more of theirs', 'the edit arrives')
    const found = await copies(pages[1])
    assert.ok(found.length > 0 && found.every(({ text }) => text === 'hostile, theirs'), JSON.stringify(found))
  })
})

describe('a relay whose tokens expire', () => {
  it('gets the next one in time, over the same connection', async t => {
    const relay = await ScriptedRelay.start()
    t.after(() => relay.close())
    relay.tokenLifeMs = 4_000
    const page = await openTab(await device(t), relay.url)
    await isLive(page)
    await until(() => relay.tokens.length > 1, 'the second new token')
    assert.ok(relay.tokenAges.every(age => age < relay.tokenLifeMs), `the tokens before were ${relay.tokenAges} ms old`)
    assert.deepEqual([relay.hellos, relay.tokens.slice(0, 2)], [['token 1'], ['token 2', 'token 3']])
    assert.equal(relay.connections, 1)
    assert.equal((await status(page)).state, 'live')
  })

  it('takes back who comes with a new one, and nothing is lost', async t => {
    const relay = await ScriptedRelay.start()
    t.after(() => relay.close())
    const page = await openTab(await device(t), relay.url)
    await isLive(page)
    relay.refuses = 'silence'
    await type(page, 'typed before')
    relay.refuses = null
    relay.end('token.expired')
    await until(() => relay.hellos.length === 2, 'the session comes back')
    assert.deepEqual(relay.hellos, ['token 1', 'token 2'])
    await until(() => relay.doc.getText('body').toString() === 'typed before', 'the edit arrives')
  })

  for (const code of ['token.denied', 'token.revoked']) {
    it(`ends a session for good with ${code}`, async t => {
      const relay = await ScriptedRelay.start()
      t.after(() => relay.close())
      const page = await openTab(await device(t), relay.url)
      await isLive(page)
      relay.denies = code
      relay.end(code === 'token.denied' ? 'token.expired' : code)
      await page.waitForFunction(() => window.room.status.state === 'stopped')
      assert.equal(await page.evaluate(() => window.room.status.error.code), code)
      const { length } = relay.hellos
      await type(page, 'it stays here')
      await page.evaluate(() => dispatchEvent(new Event('online')))
      await reads(page, 'it stays here')
      assert.equal(relay.hellos.length, length)
    })
  }
})

describe('the real relay', () => {
  let folder
  let relay

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'coweave-refusals-'))
    await writeFile(join(folder, 'admin-token'), ADMIN_TOKEN)
    const args = ['--frame-bytes-max', '65536', '--admin-token-file', join(folder, 'admin-token')]
    relay = await Relay.start({ dataDir: join(folder, 'data'), args })
  })
  after(async () => {
    await relay?.dispose()
    await rm(folder, { recursive: true, force: true })
  })

  it('does not take an edit that is too large: it is on the device after a reload', async t => {
    const page = await openTab(await device(t), relay.wsUrl)
    await type(page, 'small')
    await page.evaluate(() => window.room.flush())
    const large = 'x'.repeat(100_000)
    await type(page, large)
    await reads(page, 'small')
    assert.deepEqual((await told(page)).copies, ['update.too_large'])
    await isFoundAgainAndDropped(page, relay.wsUrl, { code: 'update.too_large', text: `${large}small` })
    await reads(page, 'small')
  })

  it('does not take it, and another tab that knows nothing of it keeps its place on the device', async t => {
    const context = await device(t)
    const pages = [await openTab(context, relay.wsUrl), await openTab(context, relay.wsUrl)]
    for (const page of pages) await page.evaluate(() => window.room.synced)
    const before = await pages[0].evaluate(() => window.text.toString())
    await type(pages[0], 'x'.repeat(100_000))
    await reads(pages[0], before)
    for (const [content, page] of [['one, ', pages[1]], ['two, ', pages[0]], ['three, ', pages[1]]]) {
      await type(page, content)
      await page.evaluate(() => window.room.flush())
    }
    for (const page of pages) {
      await reads(page, `three, two, one, ${before}`)
      await page.waitForFunction(() => window.room.storage.kind === 'device')
      await untilWritten(page)
    }
    await relay.stop()
    await pages[0].close()
    await enter(pages[1], relay.wsUrl)
    await reads(pages[1], `three, two, one, ${before}`)
    await relay.start()
  })

  it('has another history although there was nothing to set aside', async t => {
    const page = await openTab(await device(t), relay.wsUrl)
    await page.evaluate(() => window.room.synced)
    await page.evaluate(async () => {
      window.empty = window.client.room('empty')
      await window.empty.synced
    })
    await relay.kill()
    await rm(join(folder, 'data'), { recursive: true, force: true })
    await relay.start()
    await page.waitForFunction(() => window.empty.status.state === 'live')
    await page.evaluate(async () => {
      window.empty.doc.text('body').insert(0, 'of the new history')
      await window.empty.flush()
    })
    await untilWritten(page)
    await enter(page, relay.wsUrl)
    assert.deepEqual(await page.evaluate(async () => {
      const empty = window.client.room('empty')
      await empty.loaded
      return [empty.doc.text('body').toString(), empty.storage, await empty.copies()]
    }), ['of the new history', { kind: 'device' }, []])
  })

  it('has another history: the copies of two tabs are set aside once, and not merged', async t => {
    const context = await device(t)
    const pages = [await openTab(context, relay.wsUrl), await openTab(context, relay.wsUrl)]
    for (const page of pages) await page.evaluate(() => window.room.synced)
    const before = await pages[0].evaluate(() => window.text.toString())
    await type(pages[0], 'old, ')
    for (const page of pages) await reads(page, `old, ${before}`)
    await pages[0].evaluate(() => window.room.flush())
    await relay.kill()
    await rm(join(folder, 'data'), { recursive: true, force: true })
    await relay.start()
    const other = await openTab(await device(t), relay.wsUrl)
    await type(other, 'new')
    await other.evaluate(() => window.room.flush())
    for (const page of pages) {
      await reads(page, 'new')
      await isLive(page)
    }
    await type(pages[1], 'and ')
    for (const page of [...pages, other]) await reads(page, 'and new')
    await pages[1].evaluate(() => window.room.flush())
    await pages[0].close()
    await isFoundAgainAndDropped(pages[1], relay.wsUrl, { code: 'room.lineage_mismatch', text: `old, ${before}` })
    await reads(pages[1], 'and new')
  })

  /** Two tabs that do not hear of each other; the first one is gone, with an edit that only the device has. */
  async function besideAGoneTab(t, words) {
    const context = await device(t)
    await context.addInitScript(() => delete window.BroadcastChannel)
    const [gone, page] = [await openTab(context, relay.wsUrl), await openTab(context, relay.wsUrl)]
    for (const tab of [gone, page]) await tab.evaluate(() => window.room.synced)
    await relay.kill()
    await type(gone, words)
    await gone.waitForFunction(() => window.room.saved.tier === 'device')
    await gone.close()
    return page
  }

  it('does not take an edit, and what a tab wrote that nobody heard of stays on the device', async t => {
    const page = await besideAGoneTab(t, 'unseen, ')
    await relay.start()
    await isLive(page)
    await type(page, 'x'.repeat(100_000))
    await page.waitForFunction(() => window.told.copies.length === 1)
    await page.evaluate(() => window.room.flush())
    await untilWritten(page)
    await enter(page, relay.wsUrl)
    await page.waitForFunction(() => window.text.toString().startsWith('unseen, '))
    await page.evaluate(() => window.room.flush())
  })

  it('has not what a tab wrote that nobody heard of: who has the room open looks for it', async t => {
    const page = await besideAGoneTab(t, 'untold, ')
    await relay.start()
    await isLive(page)
    // A room that is left is a reason to look.
    await page.evaluate(() => window.client.room('another').dispose())
    await page.waitForFunction(() => window.text.toString().startsWith('untold, '))
    await page.evaluate(() => window.room.flush())
    const other = await openTab(await device(t), relay.wsUrl)
    await other.waitForFunction(() => window.text.toString().startsWith('untold, '))
    await until(async () => (await rows(page)).pending.length === 0, 'nothing is left to be brought')
  })

  it('has another history, and what a tab wrote that nobody heard of is set aside, too', async t => {
    const page = await besideAGoneTab(t, 'unheard, ')
    await type(page, 'mine, ')
    await rm(join(folder, 'data'), { recursive: true, force: true })
    await relay.start()
    const other = await openTab(await device(t), relay.wsUrl)
    await type(other, 'new')
    await other.evaluate(() => window.room.flush())
    await reads(page, 'new')
    await until(async () => (await copies(page)).length > 1, 'there are two copies')
    const texts = (await copies(page)).map(copy => copy.text)
    assert.ok(texts.every(text => text.includes('mine, ')), texts.join('; '))
    assert.equal(texts.filter(text => text.includes('unheard, ')).length, 1)
    await enter(page, relay.wsUrl)
    await reads(page, 'new')
  })

  it('deletes a room: the copy is on the device, and the next visit finds a new room', async t => {
    const page = await openTab(await device(t), relay.wsUrl)
    await page.evaluate(() => window.room.synced)
    const before = await page.evaluate(() => window.text.toString())
    await type(page, 'gone, ')
    await page.evaluate(() => window.room.flush())
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}` }
    const url = `${relay.httpUrl}/rooms/${encodeURIComponent(ROOM)}`
    assert.equal((await fetch(url, { method: 'DELETE', headers })).status, 204)
    await page.waitForFunction(() => window.room.status.state === 'stopped')
    assert.equal(await page.evaluate(() => window.room.status.error.code), 'room.deleted')
    assert.equal(await type(page, 'too late'), 'room.deleted')
    await reads(page, '')
    await isFoundAgainAndDropped(page, relay.wsUrl, { code: 'room.deleted', text: `gone, ${before}` })
    await isLive(page)
    await reads(page, '')
    assert.equal(await type(page, 'new'), null)
    await page.evaluate(() => window.room.flush())
  })
})
