// Carets, selections and names of the others, drawn over the text.

import { inkOn } from './identity'
import type { Box, Mirror } from './mirror'

/** Where somebody else is, in their name and color. */
export interface Cursor {
  readonly key: string
  readonly name: string
  readonly color: string
  readonly anchor: number
  readonly head: number
}

const LABEL_SHOWN_MS = 4_000
const EMPTY_LINE_WIDTH = 6

export class Carets {
  readonly #layer: HTMLElement
  readonly #mirror: Mirror
  readonly #cursors: () => readonly Cursor[]
  readonly #drawn = new Map<string, DrawnCursor>()
  #isScheduled = false

  /** `cursors` is asked where everybody is whenever they are drawn. */
  constructor(layer: HTMLElement, mirror: Mirror, cursors: () => readonly Cursor[]) {
    this.#layer = layer
    this.#mirror = mirror
    this.#cursors = cursors
    new ResizeObserver(() => this.redraw()).observe(layer)
  }

  /** Draws once in the next frame, however often it is asked to. */
  redraw(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    requestAnimationFrame(() => {
      this.#isScheduled = false
      this.#draw()
    })
  }

  #draw(): void {
    const gone = new Set(this.#drawn.keys())
    for (const cursor of this.#cursors()) {
      gone.delete(cursor.key)
      let drawn = this.#drawn.get(cursor.key)
      if (drawn === undefined) {
        drawn = new DrawnCursor()
        this.#drawn.set(cursor.key, drawn)
        this.#layer.append(drawn.element)
      }
      const from = Math.min(cursor.anchor, cursor.head)
      const to = Math.max(cursor.anchor, cursor.head)
      drawn.update(cursor, this.#mirror.caret(cursor.head), from < to ? this.#mirror.selection(from, to) : [])
    }
    for (const key of gone) {
      this.#drawn.get(key)?.element.remove()
      this.#drawn.delete(key)
    }
  }
}

class DrawnCursor {
  readonly element = document.createElement('div')
  readonly #selection = document.createElement('div')
  readonly #caret = document.createElement('div')
  readonly #label = document.createElement('span')
  #place = ''
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor() {
    this.element.className = 'peer'
    this.#caret.className = 'peer-caret'
    this.#label.className = 'peer-label'
    this.#caret.append(this.#label)
    this.element.append(this.#selection, this.#caret)
  }

  update(cursor: Cursor, caret: Box, selection: readonly Box[]): void {
    this.element.style.setProperty('--peer', cursor.color)
    this.element.style.setProperty('--peer-ink', inkOn(cursor.color))
    if (this.#label.textContent !== cursor.name) this.#label.textContent = cursor.name
    placeAt(this.#caret, caret)
    this.#selection.replaceChildren(...selection.map(selectionLine))
    this.#showLabel(`${cursor.anchor}:${cursor.head}`)
  }

  /** The name is there while its owner moves, then steps back and leaves a dot. */
  #showLabel(place: string): void {
    if (place === this.#place) return
    this.#place = place
    this.element.classList.add('is-active')
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.element.classList.remove('is-active'), LABEL_SHOWN_MS)
  }
}

function selectionLine(box: Box): HTMLElement {
  const line = document.createElement('div')
  line.className = 'peer-selection'
  placeAt(line, box)
  line.style.width = `${Math.max(box.width, EMPTY_LINE_WIDTH)}px`
  return line
}

function placeAt(element: HTMLElement, { left, top, height }: Box): void {
  element.style.transform = `translate(${left}px, ${top}px)`
  element.style.height = `${height}px`
}
