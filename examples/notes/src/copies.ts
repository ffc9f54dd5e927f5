// What the relay would not have: the page says so, and keeps it until the reader has looked after it.

import type { Room, SetAsideCopy } from 'coweave'

/** Shows each copy that was set aside, with what can be done about it; those of earlier visits too. */
export function showCopies(room: Room<object>, name: string, list: HTMLElement): void {
  const shown = new Set<string>()
  const show = (copy: SetAsideCopy): void => {
    if (shown.has(copy.id) || copy.text(name) === '') return
    shown.add(copy.id)
    list.append(offer(copy, copy.text(name)))
  }
  room.on('set-aside', show)
  room.copies().then(copies => {
    copies.forEach(show)
  }, () => {
    // This device cannot say; the page says elsewhere that it fails.
  })
}

function offer(copy: SetAsideCopy, text: string): HTMLElement {
  const item = document.createElement('li')
  item.className = 'copy'
  const words = document.createElement('p')
  words.textContent = `The relay did not take what you wrote: ${copy.error.message}. Your version of ${
    new Date(copy.time).toLocaleString()} is kept on this device.`
  const copied = button('Copy it', async () => {
    await navigator.clipboard.writeText(text)
    copied.textContent = 'Copied'
  })
  const discarded = button('Discard it', async () => {
    await copy.drop()
    item.remove()
  })
  item.append(words, copied, discarded)
  return item
}

function button(words: string, act: () => Promise<void>): HTMLButtonElement {
  const made = document.createElement('button')
  made.type = 'button'
  made.textContent = words
  made.addEventListener('click', () => {
    act().catch((error: unknown) => {
      made.textContent = `${words} (${error instanceof Error ? error.message : String(error)})`
    })
  })
  return made
}
