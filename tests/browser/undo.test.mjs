// Undo by its keys in the notes example: own letters only, with the caret where it was.

import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

import { Relay } from '../harness/relay.mjs'
import { until } from '../harness/until.mjs'
import { launchChromium } from './chromium.mjs'
import { introduce, openNotes, slowDown } from './notes-page.mjs'

const dist = fileURLToPath(new URL('../../examples/notes/dist', import.meta.url))
const pictures = fileURLToPath(new URL('../../target/screenshots/', import.meta.url))

let browser
let relay
let contexts

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

async function person(identity) {
  const context = await browser.newContext()
  contexts.push(context)
  await introduce(context, identity)
  await slowDown(context)
  const notes = await openNotes(context, { origin: relay.httpUrl, roomName: 'undo' })
  await notes.untilConnection(/^Live$/)
  return notes
}

function selection(notes) {
  return notes.area.evaluate(area => [area.selectionStart, area.selectionEnd])
}

async function untilSelection(notes, ...expected) {
  await until(async () => String(await selection(notes)) === String(expected), () => `the caret is at ${expected}`)
}

describe('undo', () => {
  it('takes back own letters only, and puts the caret where it was', async () => {
    const ana = await person({ name: 'Ana', color: '#c2683f' })
    const bo = await person({ name: 'Bo', color: '#3b6fb5' })
    await ana.type('The garden')
    await bo.untilContent('The garden')
    await bo.caretTo(0)
    await bo.type('Bo: ')
    await ana.untilContent('Bo: The garden')

    // A word in the place of another one, after a click there.
    await ana.area.click()
    await ana.caretTo(8, 14)
    await ana.type('meadow')
    await bo.untilContent('Bo: The meadow')
    await ana.page.keyboard.press('Control+z')
    await ana.untilContent('Bo: The garden')
    await untilSelection(ana, 8, 14)
    await ana.page.keyboard.press('Control+z')
    await ana.untilContent('Bo: ')
    await bo.untilContent('Bo: ')
    await ana.page.screenshot({ path: `${pictures}undo.png` })

    await bo.caretTo(0)
    await bo.type('! ')
    await ana.untilContent('! Bo: ')
    await ana.page.keyboard.press('Control+Shift+z')
    await ana.untilContent('! Bo: The garden')
    await ana.page.keyboard.press('Control+y')
    await ana.untilContent('! Bo: The meadow')
    await untilSelection(ana, 16, 16)
    await bo.untilContent('! Bo: The meadow')
    assert.deepEqual([ana.problems, bo.problems], [[], []])
  })
})
