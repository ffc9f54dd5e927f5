// The round badges of everybody who is here.

import { type Identity, initialsOf, inkOn } from './identity'

const BADGES_MAX = 5

export class People {
  readonly #list: HTMLElement
  #shown = ''

  constructor(list: HTMLElement) {
    this.#list = list
  }

  /** Shows the own badge first, then those of the others; a list that stays the same is left alone. */
  show(me: Identity, others: readonly Identity[]): void {
    const people = [{ ...me, label: `${me.name} (you)` }, ...others.map(other => ({ ...other, label: other.name }))]
    const shown = JSON.stringify(people)
    if (shown === this.#shown) return
    this.#shown = shown
    this.#list.replaceChildren(...badgesOf(people))
  }
}

interface Person extends Identity {
  readonly label: string
}

function badgesOf(people: readonly Person[]): HTMLElement[] {
  const shown = people.length > BADGES_MAX ? people.slice(0, BADGES_MAX - 1) : people
  const badges = shown.map(({ name, color, label }) => {
    const item = badge(initialsOf(name), label)
    item.style.setProperty('--peer', color)
    item.style.setProperty('--peer-ink', inkOn(color))
    return item
  })
  const hidden = people.slice(shown.length)
  if (hidden.length > 0) badges.push(badge(`+${hidden.length}`, hidden.map(({ label }) => label).join(', ')))
  return badges
}

function badge(text: string, label: string): HTMLElement {
  const item = document.createElement('li')
  item.className = 'badge'
  item.textContent = text
  item.title = label
  item.setAttribute('aria-label', label)
  return item
}
