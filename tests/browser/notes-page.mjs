// The notes example as a person meets it: opened in a context of its own, typed into with real keys.

import { until } from '../harness/until.mjs'

/** Opens the example; `relay` tells the page where the relay is when another server serves the page. */
export async function openNotes(context, { origin, roomName, relay = null }) {
  const page = await context.newPage()
  const notes = new NotesPage(page)
  const url = new URL(origin)
  url.searchParams.set('room', roomName)
  if (relay !== null) url.searchParams.set('relay', relay)
  await page.goto(url.href)
  await until(async () => {
    if (await notes.isEditable()) return true
    const notice = await page.locator('#notice').textContent()
    if (notice !== '') throw new Error(`The page says: ${notice}`)
    return false
  }, () => `the note can be edited; the page said ${notes.problems.join('; ')}`)
  return notes
}

/** What to show others in a new context, instead of a random name. */
export async function introduce(context, identity) {
  await context.addInitScript(value => {
    localStorage.setItem('coweave-notes.identity', JSON.stringify(value))
  }, identity)
}

/**
 * Lets the clocks of new pages go slowly. What is typed without a pause is undone at once, and a busy machine makes pauses
 * between keys.
 */
export async function slowDown(context) {
  await context.addInitScript(() => {
    const [wall, steady] = [Date.now(), performance.now.bind(performance)]
    performance.now = () => steady() / 50
    Date.now = () => Math.floor(wall + performance.now())
  })
}

class NotesPage {
  /** Errors that the page did not handle. */
  problems = []

  constructor(page) {
    this.page = page
    this.area = page.locator('#text')
    page.on('pageerror', error => this.problems.push(String(error)))
    page.on('console', message => {
      if (message.type() === 'error' && !isRefusedSocket(message.text())) this.problems.push(message.text())
    })
  }

  isEditable() {
    return this.area.evaluate(area => !area.readOnly)
  }

  content() {
    return this.area.inputValue()
  }

  connection() {
    return this.page.locator('#connection').innerText()
  }

  saved() {
    return this.page.locator('#saved').innerText()
  }

  notice() {
    return this.page.locator('#notice').innerText()
  }

  /** Puts the caret behind this many characters, as a click there would. */
  async caretTo(index, head = index) {
    await this.area.focus()
    await this.area.evaluate((area, [from, to]) => area.setSelectionRange(from, to), [index, head])
  }

  async type(text, options) {
    await this.area.focus()
    await this.page.keyboard.type(text, options)
  }

  async untilContent(expected) {
    await until(async () => (await this.content()) === expected, () => `the note says ${JSON.stringify(expected)}`)
  }

  async untilSaved(words = 'Saved') {
    await until(async () => (await this.saved()) === words, () => `the page says “${words}”`)
  }

  async untilConnection(pattern) {
    await until(async () => pattern.test(await this.connection()), () => `the page says ${pattern}`)
  }

  /** Collects every state that an element goes through, in words, without repetition. */
  async recordWords(id) {
    await this.page.evaluate(elementId => {
      const element = document.getElementById(elementId)
      const words = [element.textContent]
      window.recordedWords ??= {}
      window.recordedWords[elementId] = words
      new MutationObserver(() => {
        if (words.at(-1) !== element.textContent) words.push(element.textContent)
      }).observe(element, { childList: true, characterData: true, subtree: true })
    }, id)
  }

  recordedWords(id) {
    return this.page.evaluate(elementId => window.recordedWords[elementId], id)
  }

  /** The carets of others: name, color, and where they are drawn. */
  carets() {
    return this.page.locator('.peer').evaluateAll(peers => peers.map(peer => {
      const { left, top, height } = peer.querySelector('.peer-caret').getBoundingClientRect()
      const selected = [...peer.querySelectorAll('.peer-selection')].map(line => line.getBoundingClientRect().width)
      const label = peer.querySelector('.peer-label')
      return { name: label.textContent, color: getComputedStyle(label).backgroundColor, left, top, height, selected }
    }))
  }
}

/** Chromium itself reports every socket that could not be opened; a page cannot keep it from doing so. */
function isRefusedSocket(text) {
  return text.includes('WebSocket connection to') || text.includes('ERR_CONNECTION_REFUSED')
}
