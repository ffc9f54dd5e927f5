// Two people in real browsers: typing at once, losing the relay, closing the tab, and finding everything again.

import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

import { Relay } from '../harness/relay.mjs'
import { sleep, until } from '../harness/until.mjs'
import { launchChromium } from './chromium.mjs'
import { introduce, openNotes } from './notes-page.mjs'
import { serveFolder } from './static-server.mjs'

const dist = fileURLToPath(new URL('../../examples/notes/dist', import.meta.url))

let browser
let relay
let contexts
let roomCount = 0

before(async () => { browser = await launchChromium() })
after(() => browser.close())

beforeEach(async () => {
  contexts = []
  relay = await Relay.start({ args: ['--static-dir', dist] })
})

afterEach(async () => {
  await Promise.all(contexts.map(context => context.close()))
  await relay.dispose()
})

async function newContext(identity) {
  const context = await browser.newContext()
  contexts.push(context)
  if (identity !== undefined) await introduce(context, identity)
  return context
}

async function twoPeople(roomName = `two-${++roomCount}`) {
  const place = { origin: relay.httpUrl, roomName }
  const ana = await openNotes(await newContext({ name: 'Ana', color: '#c2683f' }), place)
  const bo = await openNotes(await newContext({ name: 'Bo', color: '#3b6fb5' }), place)
  await ana.untilConnection(/^Live$/)
  await bo.untilConnection(/^Live$/)
  return [ana, bo]
}

async function untilEqual(...people) {
  await until(async () => new Set(await Promise.all(people.map(person => person.content()))).size === 1, 'everybody sees the same text')
  return people[0].content()
}

describe('two people', () => {
  it('type at once and end equal', async () => {
    const [ana, bo] = await twoPeople()
    await ana.type('The garden. ')
    await untilEqual(ana, bo)
    await ana.caretTo(0)
    await bo.caretTo(12)
    await Promise.all([
      ana.type('Ana writes here at the very top. ', { delay: 7 }),
      bo.type('Bo writes below, at the same time.', { delay: 5 }),
    ])
    assert.equal(await untilEqual(ana, bo), 'Ana writes here at the very top. The garden. Bo writes below, at the same time.')

    const length = (await ana.content()).length
    await ana.caretTo(length)
    await bo.caretTo(length)
    await Promise.all([ana.type('aaaaaaaaaaaaaaaaaaaa', { delay: 3 }), bo.type('bbbbbbbbbbbbbbbbbbbb', { delay: 3 })])
    const tail = (await untilEqual(ana, bo)).slice(length)
    assert.equal([...tail].sort().join(''), 'aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbb')
    assert.deepEqual([...ana.problems, ...bo.problems], [])
  })

  it('see each other: name, color, caret and selection', async () => {
    const [ana, bo] = await twoPeople()
    await ana.type('Hello Bo, look here')
    await untilEqual(ana, bo)
    await ana.caretTo(0)
    const { x } = await bo.area.boundingBox()
    const [caret] = await until(async () => {
      const carets = await bo.carets()
      return carets.length === 1 && Math.abs(carets[0].left - x) < 3 && carets
    }, 'Bo sees the caret of Ana')
    assert.equal(caret.name, 'Ana')
    assert.equal(caret.color, 'rgb(194, 104, 63)')
    assert.ok(caret.height > 10)

    await ana.caretTo(10, 14)
    const [selection] = await until(async () => {
      const carets = await bo.carets()
      return carets[0]?.selected.length === 1 && carets[0].left > caret.left && carets
    }, 'Bo sees what Ana selected')
    assert.ok(selection.selected[0] > 10)

    const badges = await bo.page.locator('#people li').evaluateAll(items => items.map(item => item.ariaLabel))
    assert.deepEqual(badges, ['Bo (you)', 'Ana'])
    await ana.page.close()
    await until(async () => (await bo.carets()).length === 0, 'Bo sees Ana go')
  })

  it('keep their own caret and scroll while the other writes above', async () => {
    const [ana, bo] = await twoPeople()
    const lines = Array.from({ length: 120 }, (_, i) => `line ${i}`).join('\n')
    await ana.area.focus()
    await ana.page.keyboard.insertText(lines)
    await untilEqual(ana, bo)
    const place = lines.indexOf('line 100')
    await bo.caretTo(place, place + 4)
    await bo.page.evaluate(() => window.scrollTo(0, document.body.scrollHeight))
    const seen = () => bo.area.evaluate(area => ({
      selected: area.value.slice(area.selectionStart, area.selectionEnd + 4),
      bottom: area.getBoundingClientRect().bottom,
    }))
    const before = await seen()
    await ana.caretTo(0)
    await ana.type('above\nabove\nabove\n')
    await untilEqual(ana, bo)
    const after = await seen()
    assert.equal(after.selected, before.selected)
    assert.ok(Math.abs(after.bottom - before.bottom) < 3, `the page moved by ${after.bottom - before.bottom} pixels`)
  })
})

describe('the relay stops', () => {
  it('and what was typed offline survives the closed tab and reaches the other', async t => {
    const served = await serveFolder(dist)
    t.after(() => served.close())
    const train = await newContext({ name: 'Ana', color: '#c2683f' })
    const office = await newContext({ name: 'Bo', color: '#3b6fb5' })
    const viaStatic = { origin: served.url, roomName: 'offline', relay: relay.wsUrl }
    const ana = await openNotes(train, viaStatic)
    const bo = await openNotes(office, { origin: relay.httpUrl, roomName: 'offline' })
    await ana.untilConnection(/^Live$/)
    await ana.type('Together. ')
    await bo.untilContent('Together. ')
    await ana.untilSaved()

    await relay.kill()
    await ana.untilConnection(/^Offline/)
    assert.equal(await ana.saved(), 'Saved')
    await ana.type('Alone, on the train.')
    await ana.untilSaved('On this device')
    await ana.page.close()

    const again = await openNotes(train, viaStatic)
    assert.equal(await again.content(), 'Together. Alone, on the train.')
    await again.untilConnection(/^Offline/)
    assert.equal(await again.saved(), 'On this device')
    await again.recordWords('saved')
    assert.equal(await bo.content(), 'Together. ')

    await relay.start()
    await bo.untilContent('Together. Alone, on the train.')
    await again.untilSaved()
    assert.deepEqual(await again.recordedWords('saved'), ['On this device', 'Saving…', 'Saved'])
    await bo.untilConnection(/^Live$/)
    assert.deepEqual([...again.problems, ...bo.problems], [])
  })

  it('while one person has two tabs, and neither tab loses anything', async t => {
    const served = await serveFolder(dist)
    t.after(() => served.close())
    const place = { origin: served.url, roomName: 'tabs', relay: relay.wsUrl }
    const context = await newContext()
    const left = await openNotes(context, place)
    await left.type('both. ')
    await left.untilSaved()
    const right = await openNotes(context, place)
    await right.untilContent('both. ')
    await relay.kill()
    await left.untilConnection(/^Offline/)
    await right.untilConnection(/^Offline/)
    await left.type('left. ')
    await right.type('right. ')
    await left.untilSaved('On this device')
    await right.untilSaved('On this device')
    await left.page.close()
    await right.page.close()

    const again = await openNotes(context, place)
    const text = await again.content()
    assert.ok(text.includes('left. ') && text.includes('right. '), `the device has ${JSON.stringify(text)}`)
    await relay.start()
    await again.untilSaved()
    const other = await openNotes(await newContext(), { origin: relay.httpUrl, roomName: 'tabs' })
    await other.untilContent(text)
  })

  it('where the browser keeps nothing, and the page says so', async () => {
    const context = await newContext()
    await context.addInitScript(() => Object.defineProperty(window, 'indexedDB', { value: undefined }))
    const notes = await openNotes(context, { origin: relay.httpUrl, roomName: 'memory' })
    await notes.type('safe there. ')
    await notes.untilSaved()
    await relay.kill()
    await notes.untilConnection(/^Offline/)
    await notes.type('only here. ')
    await notes.untilSaved('Only in memory')
    await relay.start()
    await notes.untilSaved()
    assert.deepEqual(notes.problems, [])
  })

  it('by SIGKILL in the middle of typing, again and again, and not a letter is lost', async () => {
    const [ana, bo] = await twoPeople()
    const sentence = 'The quick brown fox jumps over the lazy dog. '.repeat(4)
    const typing = ana.type(sentence, { delay: 12 })
    for (let i = 0; i < 3; i += 1) {
      await sleep(400)
      await relay.kill()
      await sleep(150)
      await relay.start()
    }
    await typing
    await bo.untilContent(sentence)
    await ana.untilSaved()
    await relay.kill()
    await relay.start()
    const fresh = await openNotes(await newContext(), { origin: relay.httpUrl, roomName: `two-${roomCount}` })
    await fresh.untilContent(sentence)
  })
})

describe('the relay refuses', () => {
  it('a paste that is too large: the page says so, and the other one goes on', async () => {
    await relay.dispose()
    relay = await Relay.start({ args: ['--static-dir', dist, '--frame-bytes-max', '65536'] })
    const [ana, bo] = await twoPeople()
    await ana.type('small. ')
    await bo.untilContent('small. ')
    await ana.page.keyboard.insertText('x'.repeat(100_000))
    const copies = ana.page.locator('#copies li')
    await until(async () => (await copies.count()) === 1, 'the page says that the edit was refused')
    assert.match(await copies.innerText(), /update.too_large|larger than/)
    await bo.caretTo(7)
    await bo.type('And on.')
    await bo.untilSaved()
    await untilEqual(ana, bo)
    assert.equal(await ana.content(), 'small. And on.')
    await ana.untilSaved()
    // What she wrote is hers to have, now and after a reload, until she does not want it any more.
    await ana.page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await ana.page.reload()
    await ana.page.getByRole('button', { name: 'Copy it' }).click()
    await ana.page.getByRole('button', { name: 'Copied' }).waitFor()
    const copied = await ana.page.evaluate(() => navigator.clipboard.readText())
    assert.equal(copied.replaceAll('x', ''), 'small. ')
    assert.equal(copied.length, 100_007)
    await ana.page.getByRole('button', { name: 'Discard it' }).click()
    await until(async () => (await copies.count()) === 0, 'the copy is gone')
    await ana.page.reload()
    await ana.untilConnection(/^Live$/)
    assert.equal(await copies.count(), 0)
  })
})
