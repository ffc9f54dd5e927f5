// A text area bound to a shared text: what is typed becomes the smallest edit, and edits of others move
// neither the caret nor the page.

import type { Delta, Doc, Text, TextPosition, Undo } from 'coweave'

import { type Edit, editBetween, editsOf, placeAfter, rangeAfter } from './edit'
import type { Mirror } from './mirror'

// A text area turns CR LF into LF, which would shift every place behind it. An outside client may write a
// CR all the same; here it is shown as a character without width, and stays what it is in the document.
const CARRIAGE_RETURN_SHOWN = '\u200b'

export interface EditorOptions {
  readonly area: HTMLTextAreaElement
  readonly mirror: Mirror
  readonly doc: Doc
  readonly text: Text
  /** Everything above this height of the window is covered by the header. */
  readonly visibleFrom: () => number
  /** The own caret or selection moved. */
  readonly onSelect: (anchor: number, head: number) => void
  /** The text changed, and with it where its letters are. */
  readonly onLayout: () => void
}

/** It moves with the letters around it, whoever writes there before it is needed again. */
type Selection = readonly [start: TextPosition, end: TextPosition]

export class Editor {
  readonly #options: EditorOptions
  readonly #area: HTMLTextAreaElement
  /** What the text area showed last, so that the next input can be compared with it. */
  #shown = ''
  #isComposing = false
  /** Changes of others that arrived while a word was being composed. */
  #held: Array<readonly Delta[]> = []
  readonly #undo: Undo
  /** Where the selection was before the last input. */
  #before: Selection | undefined

  constructor(options: EditorOptions) {
    this.#options = options
    this.#area = options.area
    this.#show({ start: 0, end: 0, insert: options.text.toString() })
    this.#area.setSelectionRange(0, 0)
    this.#undo = options.doc.undo({ scope: options.text })
    options.text.subscribe(change => {
      if (!change.local || change.origin === this.#undo) this.#receive(change.delta)
    })
    this.#undo.on('added', ({ item }) => item.meta.set(this, this.#before))
    this.#undo.on('popped', ({ item }) => {
      const selection = item.meta.get(this) as Selection | undefined
      const [start, end] = selection?.map(position => options.text.resolve(position)) ?? []
      if (typeof start !== 'number' || typeof end !== 'number') return
      this.#area.setSelectionRange(start, end)
      this.#tellSelection()
    })
    this.#listen()
    this.#area.readOnly = false
  }

  #listen(): void {
    // The browser's undo knows nothing of other people: it would take their letters back.
    this.#area.addEventListener('beforeinput', event => {
      this.#remember()
      if (event.inputType !== 'historyUndo' && event.inputType !== 'historyRedo') return
      event.preventDefault()
      this.#takeBack(event.inputType === 'historyRedo')
    })
    // A browser that has nothing to undo of its own does not say that somebody wants to.
    this.#area.addEventListener('keydown', event => {
      const isUndo = event.key.toLowerCase() === 'z'
      const isRedo = event.key.toLowerCase() === 'y' || (isUndo && event.shiftKey)
      if (!(event.ctrlKey || event.metaKey) || event.altKey || !(isUndo || isRedo)) return
      event.preventDefault()
      this.#takeBack(isRedo)
    })
    // What is typed somewhere else is undone by itself.
    this.#area.addEventListener('pointerdown', () => { this.#undo.stop() })
    this.#area.addEventListener('input', () => {
      if (!this.#isComposing) this.#send()
    })
    this.#area.addEventListener('compositionstart', () => { this.#isComposing = true })
    this.#area.addEventListener('compositionend', () => this.#finishComposing())
    document.addEventListener('selectionchange', () => this.#tellSelection())
  }

  #remember(): void {
    if (this.#isComposing) return
    const { selectionStart, selectionEnd } = this.#area
    const { text } = this.#options
    this.#before = [text.position(selectionStart), text.position(selectionEnd)]
  }

  #takeBack(isRedo: boolean): void {
    // In a room where one may only read by now, there is nothing to take back.
    if (this.#isComposing || this.#area.readOnly) return
    this.#remember()
    if (isRedo) this.#undo.redo()
    else this.#undo.undo()
  }

  #send(): void {
    const edit = editBetween(this.#shown, this.#area.value, this.#area.selectionEnd)
    if (edit === null) return
    this.#accept(edit)
    this.#write([edit])
    this.#tellSelection()
  }

  #write(edits: readonly Edit[]): void {
    const { doc, text } = this.#options
    doc.transact(() => {
      for (const { start, end, insert } of edits) {
        if (end > start) text.delete(start, end - start)
        if (insert !== '') text.insert(start, insert)
      }
    })
  }

  #receive(delta: readonly Delta[]): void {
    if (this.#isComposing) this.#held.push(delta)
    else this.#keepView(delta, () => editsOf(delta).forEach(edit => this.#show(edit)))
  }

  /**
   * What was composed is one edit of the text as it was when composing began. It is taken back, the held
   * changes of others are shown, and it is made again where it belongs now.
   */
  #finishComposing(): void {
    this.#isComposing = false
    const held = this.#held
    this.#held = []
    const edit = held.length === 0 ? null : editBetween(this.#shown, this.#area.value, this.#area.selectionEnd)
    if (edit === null) {
      this.#send()
      held.forEach(delta => this.#receive(delta))
      return
    }
    this.#area.setRangeText(this.#shown.slice(edit.start, edit.end), edit.start, edit.start + edit.insert.length)
    held.forEach(delta => this.#receive(delta))
    const edits = moved(edit, held)
    edits.forEach(each => this.#show(each))
    this.#write(edits)
    const caret = (edits.at(-1)?.start ?? 0) + edit.insert.length
    this.#area.setSelectionRange(caret, caret)
  }

  /** Makes an edit in the text area; the selection stays with the letters it was at. */
  #show(edit: Edit): void {
    const { selectionDirection } = this.#area
    const shown = { ...edit, insert: edit.insert.replaceAll('\r', CARRIAGE_RETURN_SHOWN) }
    this.#area.setRangeText(shown.insert, shown.start, shown.end, 'preserve')
    if (selectionDirection === 'backward') {
      this.#area.setSelectionRange(this.#area.selectionStart, this.#area.selectionEnd, 'backward')
    }
    this.#accept(shown)
  }

  #accept(edit: Edit): void {
    this.#shown = this.#shown.slice(0, edit.start) + edit.insert + this.#shown.slice(edit.end)
    this.#options.mirror.apply(edit)
    this.#options.onLayout()
  }

  /** Lines that come and go above the window must not move what is being read. */
  #keepView(delta: readonly Delta[], change: () => void): void {
    if (window.scrollY === 0) return change()
    const { mirror, visibleFrom } = this.#options
    const place = mirror.firstBelow(visibleFrom())
    const distance = mirror.distanceFromTop(place)
    change()
    window.scrollBy(0, mirror.distanceFromTop(placeAfter(place, delta)) - distance)
  }

  #tellSelection(): void {
    if (this.#isComposing || document.activeElement !== this.#area) return
    const { selectionStart, selectionEnd, selectionDirection } = this.#area
    const isBackward = selectionDirection === 'backward'
    this.#options.onSelect(isBackward ? selectionEnd : selectionStart, isBackward ? selectionStart : selectionEnd)
  }
}

/** An edit after changes that it knew nothing of: only the characters it meant go, the new ones come last. */
function moved(edit: Edit, held: ReadonlyArray<readonly Delta[]>): Edit[] {
  let start = edit.start
  let pieces: Array<[start: number, end: number]> = [[edit.start, edit.end]]
  for (const delta of held) {
    start = placeAfter(start, delta)
    pieces = pieces.flatMap(([from, to]) => rangeAfter(from, to, delta))
  }
  const deletions = pieces.reverse().map(([from, to]) => ({ start: from, end: to, insert: '' }))
  return [...deletions, { start, end: start, insert: edit.insert }]
}
