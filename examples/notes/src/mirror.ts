// A text area tells nobody where its letters are. Its text is laid out a second time, invisibly and with
// the same style, in an element that can be measured; that element also gives the text area its height.

import type { Edit } from './edit'

/** A line of a selection, or a caret, relative to the mirror. */
export interface Box {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

export class Mirror {
  readonly #element: HTMLElement
  readonly #text = document.createTextNode('')

  constructor(element: HTMLElement) {
    this.#element = element
    // The zero-width space gives an empty last line its height, and the end of the text a place.
    element.append(this.#text, '\u200b')
  }

  apply({ start, end, insert }: Edit): void {
    this.#text.replaceData(start, end - start, insert)
  }

  caret(index: number): Box {
    const line = this.#range(index, index + 1).getClientRects()[0]
    return this.#relative(line ?? this.#element.getBoundingClientRect(), 0)
  }

  /** One box for each line between two places. */
  selection(from: number, to: number): Box[] {
    const lines: Box[] = []
    for (const rect of this.#range(from, to).getClientRects()) {
      const box = this.#relative(rect, rect.width)
      const last = lines.at(-1)
      // The space that ends a line comes as a rectangle of its own.
      if (last !== undefined && Math.abs(last.top - box.top) < box.height / 2) {
        lines[lines.length - 1] = { ...last, width: Math.max(last.width, box.left + box.width - last.left) }
      } else {
        lines.push(box)
      }
    }
    return lines
  }

  /** How far below the top of the window a place is. */
  distanceFromTop(index: number): number {
    return this.#element.getBoundingClientRect().top + this.caret(index).top
  }

  /** The first place that is not above this height of the window. */
  firstBelow(height: number): number {
    let low = 0
    let high = this.#text.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.distanceFromTop(middle) < height) low = middle + 1
      else high = middle
    }
    return low
  }

  #range(from: number, to: number): Range {
    const range = document.createRange()
    this.#place(range, 'setStart', from)
    this.#place(range, 'setEnd', to)
    return range
  }

  #place(range: Range, edge: 'setStart' | 'setEnd', index: number): void {
    const behind = this.#text.nextSibling
    if (index > this.#text.length && behind !== null) range[edge](behind, 1)
    else if (index === this.#text.length && edge === 'setStart' && behind !== null) range.setStart(behind, 0)
    else range[edge](this.#text, index)
  }

  #relative(line: DOMRect, width: number): Box {
    const origin = this.#element.getBoundingClientRect()
    return { left: line.left - origin.left, top: line.top - origin.top, width, height: line.height }
  }
}
