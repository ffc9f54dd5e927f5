// Plain arithmetic on text: what one input changed, and where a place ends up after changes of others.

import type { Delta } from 'coweave'

/** Characters `start..end` of a text become `insert`. */
export interface Edit {
  readonly start: number
  readonly end: number
  readonly insert: string
}

/**
 * The smallest edit that turns `before` into `after`. The caret stands behind what was typed, so it
 * decides which of several equal letters is the new one.
 */
export function editBetween(before: string, after: string, caret: number): Edit | null {
  if (before === after) return null
  const shorter = Math.min(before.length, after.length)
  const behindCaret = Math.min(shorter, after.length - caret)
  let tail = 0
  while (tail < behindCaret && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1
  let start = 0
  while (start < shorter - tail && before[start] === after[start]) start += 1
  return wholeCharacters(before, after, start, tail)
}

/** Widens an edit that would cut a surrogate pair in two, before or after it. */
function wholeCharacters(before: string, after: string, start: number, tail: number): Edit {
  const isCut = (text: string, index: number): boolean =>
    /[\uD800-\uDBFF]/.test(text[index - 1] ?? '') && /[\uDC00-\uDFFF]/.test(text[index] ?? '')
  if (isCut(before, start) || isCut(after, start)) start -= 1
  if (tail > 0 && (isCut(before, before.length - tail) || isCut(after, after.length - tail))) tail -= 1
  return { start, end: before.length - tail, insert: after.slice(start, after.length - tail) }
}

/** What somebody embeds in a note with other software shows as one character, as in the text. */
function textOf(inserted: string | object): string {
  return typeof inserted === 'string' ? inserted : '\ufffc'
}

/** The replacements of a change from left to right, each in the text as the ones before it left it. */
export function editsOf(delta: readonly Delta[]): Edit[] {
  const edits: Edit[] = []
  let at = 0
  for (const step of delta) {
    if ('retain' in step) {
      at += step.retain
    } else if ('delete' in step) {
      edits.push({ start: at, end: at + step.delete, insert: '' })
    } else {
      const insert = textOf(step.insert)
      edits.push({ start: at, end: at, insert })
      at += insert.length
    }
  }
  return edits
}

/** What is left of the characters `start..end` after a change of somebody else, as separate pieces. */
export function rangeAfter(start: number, end: number, delta: readonly Delta[]): Array<[start: number, end: number]> {
  const pieces: Array<[number, number]> = []
  let before = 0
  let after = 0
  const keep = (length: number): void => {
    const left = Math.max(start, before)
    const right = Math.min(end, before + length)
    if (left < right) pieces.push([after + left - before, after + right - before])
    before += length
    after += length
  }
  for (const step of delta) {
    if ('retain' in step) {
      keep(step.retain)
    } else if ('insert' in step) {
      after += textOf(step.insert).length
    } else {
      before += step.delete
    }
  }
  keep(Infinity)
  return pieces
}

/** Where a place ends up after a change; text inserted exactly there goes behind it. */
export function placeAfter(place: number, delta: readonly Delta[]): number {
  let after = place
  for (const { start, end, insert } of editsOf(delta)) {
    if (start >= after) break
    after = Math.max(start, after - (end - start)) + insert.length
  }
  return after
}
