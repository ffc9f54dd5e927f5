// What keyboards, clipboards and input methods do to the note, and what the other one sees of it.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

import { Relay } from '../harness/relay.mjs'
import { sleep } from '../harness/until.mjs'
import { launchChromium } from './chromium.mjs'
import { openNotes, slowDown } from './notes-page.mjs'

const dist = fileURLToPath(new URL('../../examples/notes/dist', import.meta.url))

let browser
let relay
let roomCount = 0

before(async () => {
  relay = await Relay.start({ args: ['--static-dir', dist] })
  browser = await launchChromium()
})
after(async () => {
  await browser.close()
  await relay.dispose()
})

async function twoPeople(t, prepare = () => undefined) {
  roomCount += 1
  const people = []
  for (let i = 0; i < 2; i += 1) {
    const context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'] })
    t.after(() => context.close())
    await prepare(context)
    people.push(await openNotes(context, { origin: relay.httpUrl, roomName: `typing-${roomCount}` }))
  }
  return people
}

describe('typing', () => {
  it('emoji, and deleting one with one key', async t => {
    const [ana, bo] = await twoPeople(t)
    await ana.type('a👍🏽b👨‍👩‍👧c😀')
    await bo.untilContent('a👍🏽b👨‍👩‍👧c😀')
    await ana.page.keyboard.press('Backspace')
    await bo.untilContent('a👍🏽b👨‍👩‍👧c')
    await bo.type('')
    await bo.caretTo('a👍🏽b👨‍👩‍👧'.length)
    await bo.page.keyboard.press('Backspace')
    await ana.untilContent(await bo.content())
    // One emoji in place of another that shares its first half.
    await ana.caretTo(0, (await ana.content()).length)
    await ana.type('😀')
    await ana.caretTo(0, 2)
    await ana.page.keyboard.insertText('😁')
    await bo.untilContent('😁')
    assert.deepEqual([...ana.problems, ...bo.problems], [])
  })

  it('Enter, deletion of words and lines, cut and paste', async t => {
    const [ana, bo] = await twoPeople(t)
    await ana.type('one two three')
    await ana.page.keyboard.press('Enter')
    await ana.type('four')
    await bo.untilContent('one two three\nfour')
    await ana.page.keyboard.press('Control+Backspace')
    await bo.untilContent('one two three\n')
    await ana.caretTo(0, 4)
    await ana.page.keyboard.press('Control+X')
    await bo.untilContent('two three\n')
    await ana.page.keyboard.press('Control+End')
    await ana.page.keyboard.press('Control+V')
    await bo.untilContent('two three\none ')
    await ana.caretTo(3)
    await ana.page.keyboard.press('Delete')
    await bo.untilContent('twothree\none ')
  })

  it('undoes what was typed here, and nothing that somebody else wrote', async t => {
    const [ana, bo] = await twoPeople(t, slowDown)
    await ana.type('mine')
    await bo.untilContent('mine')
    await bo.caretTo(0)
    await bo.type('theirs ')
    await ana.untilContent('theirs mine')
    await ana.page.keyboard.press('Control+Z')
    await bo.untilContent('theirs ')
    await ana.page.keyboard.press('Control+Z')
    await sleep(200)
    assert.equal(await ana.content(), 'theirs ')
  })
})

describe('pasting', () => {
  it('100 kB with Windows line ends', async t => {
    const [ana, bo] = await twoPeople(t)
    const line = 'Lorem ipsum dolor sit amet, consectetur adipiscing elit 🌱.'
    const pasted = Array.from({ length: 1_700 }, (_, i) => `${i} ${line}`)
    await ana.page.evaluate(text => navigator.clipboard.writeText(text), pasted.join('\r\n'))
    await ana.area.focus()
    await ana.page.keyboard.press('Control+V')
    await bo.untilContent(pasted.join('\n'))
    await ana.untilSaved()
    await bo.caretTo(0)
    await bo.type('still quick')
    await ana.untilContent(`still quick${pasted.join('\n')}`)
    assert.deepEqual([...ana.problems, ...bo.problems], [])
  })
})

describe('an input method', () => {
  it('composes a word undisturbed, which then arrives as a whole', async t => {
    const [ana, bo] = await twoPeople(t)
    await ana.type('[]')
    await bo.untilContent('[]')
    await ana.caretTo(1)
    const keyboard = await ana.page.context().newCDPSession(ana.page)
    for (const text of ['n', 'に', 'にh', 'にほ', 'にほn']) {
      await keyboard.send('Input.imeSetComposition', { text, selectionStart: text.length, selectionEnd: text.length })
    }
    await bo.caretTo(0)
    await bo.type('before ')
    await bo.caretTo('before []'.length)
    await bo.type(' after')
    await sleep(300)
    assert.equal(await ana.content(), '[にほn]', 'the composition is not touched')
    assert.equal(await bo.content(), 'before [] after', 'nothing half-composed is sent')

    await keyboard.send('Input.insertText', { text: '日本' })
    await bo.untilContent('before [日本] after')
    await ana.untilContent('before [日本] after')
    const caret = await ana.area.evaluate(area => area.selectionStart)
    assert.equal(caret, 'before [日本'.length)
    await ana.type('!')
    await bo.untilContent('before [日本!] after')
    assert.deepEqual([...ana.problems, ...bo.problems], [])
  })

  it('replaces a selection that the other one is writing into', async t => {
    const [ana, bo] = await twoPeople(t)
    await ana.type('keep OLD keep')
    await bo.untilContent('keep OLD keep')
    await ana.caretTo(5, 8)
    const keyboard = await ana.page.context().newCDPSession(ana.page)
    await keyboard.send('Input.imeSetComposition', { text: '新', selectionStart: 1, selectionEnd: 1 })
    await bo.caretTo(7)
    await bo.type('-theirs-')
    await sleep(300)
    await keyboard.send('Input.insertText', { text: '新' })
    await ana.untilContent('keep 新-theirs- keep')
    await bo.untilContent('keep 新-theirs- keep')
  })
})
