// The elements of the panel, and how a snapshot is drawn into them without disturbing whoever reads.

import type { DebugRoom, DebugSnapshot } from './debug.js'
import { panelStyle } from './panel-style.js'
import {
  type Tone,
  type Verdict,
  bytes,
  connectionVerdict,
  count,
  duration,
  eventWords,
  overallVerdict,
  roomReasons,
  roomVerdict,
  sentence,
} from './panel-words.js'

/** What the button says. */
export const COPY = 'Copy as JSON'

const ROOMS_MAX = 50
const EVENTS_MAX = 40
const severity: Readonly<Record<Tone, number>> = { bad: 0, wait: 1, good: 2 }

/** A row of figures: what it is, and its value. */
type Row = readonly [string, string]

/** What the panel shows. */
export class PanelView {
  readonly copyButton: HTMLButtonElement = make('button', { textContent: COPY })
  readonly copied: HTMLElement = make('span', { className: 'spoken', role: 'status' })
  /** For a browser that does not let the page copy. */
  readonly byHand: HTMLElement = make('div', { className: 'copy', hidden: true })
  readonly #title = make('h2', { textContent: 'Coweave' })
  readonly #verdict = make('p', { className: 'verdict', role: 'status' })
  readonly #why = make('p', { className: 'why' })
  readonly #rooms = make('div')
  readonly #more = make('p', { className: 'more' })
  readonly #sections = new Map<string, RoomSection>()
  readonly #connection = new Rows()
  readonly #events = make('ol', { ariaLabel: 'Last events' })

  /** Fills a shadow root. */
  constructor(root: ShadowRoot) {
    this.copyButton.type = 'button'
    const section = make('section', { ariaLabel: 'Coweave' })
    const header = make('header')
    header.append(this.#title, this.copyButton, this.copied)
    section.append(
      header,
      this.#verdict,
      this.#why,
      this.byHand,
      this.#rooms,
      this.#more,
      fold('Connection', this.#connection.list),
      fold('Last events', this.#events),
    )
    // A page's policy may forbid `<style>`, and allows this.
    const style = new CSSStyleSheet()
    style.replaceSync(panelStyle)
    root.adoptedStyleSheets = [style]
    root.append(section)
  }

  draw(snapshot: DebugSnapshot): void {
    write(this.#title, `Coweave ${snapshot.version}`)
    say(this.#verdict, overallVerdict(snapshot))
    const connection = connectionVerdict(snapshot)
    write(this.#why, connection.words)
    this.#drawRooms(snapshot)
    this.#connection.draw(connectionRows(snapshot))
    this.#drawEvents(snapshot)
  }

  /** Those with something to tell come first. */
  #drawRooms(snapshot: DebugSnapshot): void {
    const rank = (room: DebugRoom): number => severity[roomVerdict(room).tone]
    const sorted = [...snapshot.rooms].sort((a, b) => rank(a) - rank(b))
    const shown = sorted.slice(0, ROOMS_MAX)
    const names = new Set(shown.map(({ name }) => name))
    for (const [name, section] of this.#sections) {
      if (names.has(name)) continue
      section.element.remove()
      this.#sections.delete(name)
    }
    shown.forEach((room, index) => {
      const section = this.#sections.get(room.name) ?? new RoomSection(shown.length === 1)
      this.#sections.set(room.name, section)
      section.draw(room, snapshot)
      const there = this.#rooms.children[index] ?? null
      if (there !== section.element) this.#rooms.insertBefore(section.element, there)
    })
    const rest = sorted.length - shown.length
    write(this.#more, rest > 0 ? `And ${count(rest, 'more room', 'more rooms')}.` : '')
  }

  #drawEvents({ rooms }: DebugSnapshot): void {
    const events = rooms.flatMap(({ name, events }) => events.map(event => ({ name, event })))
    events.sort((a, b) => b.event.at - a.event.at)
    const lines = events.slice(0, EVENTS_MAX).map(({ name, event }) => ({
      at: new Date(event.at),
      words: `${name}: ${eventWords(event)}`,
    }))
    const key = lines.map(({ at, words }) => `${at.toISOString()} ${words}`).join('\n')
    if (this.#events.dataset['key'] === key) return
    this.#events.dataset['key'] = key
    this.#events.replaceChildren(...lines.map(({ at, words }) => {
      const line = make('li')
      const time = make('time', { textContent: at.toLocaleTimeString() })
      time.dateTime = at.toISOString()
      line.append(time, words)
      return line
    }))
  }
}

/** One room. */
class RoomSection {
  readonly element: HTMLDetailsElement
  readonly #name = make('span', { className: 'name' })
  readonly #words = make('span', { className: 'tone' })
  readonly #reasons = make('ul', { className: 'reasons' })
  readonly #rows = new Rows()

  constructor(isOpen: boolean) {
    this.element = make('details', { open: isOpen })
    const summary = make('summary')
    summary.append(this.#name, ' ', this.#words)
    this.element.append(summary, this.#reasons, this.#rows.list)
  }

  draw(room: DebugRoom, snapshot: DebugSnapshot): void {
    write(this.#name, room.name)
    say(this.#words, roomVerdict(room))
    const reasons = roomReasons(room, snapshot)
    while (this.#reasons.children.length > reasons.length) this.#reasons.lastChild?.remove()
    reasons.forEach((reason, index) => {
      const there = this.#reasons.children[index]
      const item = there instanceof HTMLElement ? there : make('li', { className: 'tone' })
      if (there === undefined) this.#reasons.append(item)
      say(item, reason)
    })
    this.#rows.draw(roomRows(room))
  }
}

function connectionRows({ url, connection, at }: DebugSnapshot): readonly Row[] {
  if (connection === null) return [['Relay', url]]
  const { relay, heardAt, roundTrip, attempts, lastError, sent, received, tabs } = connection
  const traffic = ({ frames, bytes: size }: typeof sent): string =>
    `${count(frames, 'frame', 'frames')}, ${bytes(size)}`
  return [
    ['Relay', url],
    ['Software', relay ? `${relay.software}, protocol ${String(relay.protocol)}` : 'not known yet'],
    ['Last heard', heardAt === null ? 'never' : `${duration(at - heardAt)} ago`],
    ['Round trip', roundTrip === null ? 'not measured' : `${String(roundTrip)} ms`],
    ['Sent', traffic(sent)],
    ['Received', traffic(received)],
    ['Other tabs', `${String(tabs.others)}${tabs.isLeader ? '; this one holds the socket' : ''}`],
    ['Failed tries', attempts.toLocaleString('en')],
    ['Last error', lastError ? `${sentence(lastError.error)} ${duration(at - lastError.at)} ago` : 'none'],
  ]
}

function roomRows({ figures, shares, listeners, peers }: DebugRoom): readonly Row[] {
  const use: Row = ['In use', [
    count(shares, 'share', 'shares'),
    count(listeners, 'listener', 'listeners'),
    count(peers, 'peer', 'peers'),
  ].join(', ')]
  if (figures === null) return [use]
  const { edits, outbox, document: content, position, lineage, device } = figures
  const number = (value: number): string => value.toLocaleString('en')
  return [
    ['Own edits', `${number(edits.last)}: ${number(edits.device)} on this device, ${number(edits.accepted)} accepted, ${number(edits.durable)} durable`],
    ['Waiting', `${count(outbox.updates, 'update', 'updates')}, ${bytes(outbox.bytes)}`],
    ['Document', `${count(content.elements, 'element', 'elements')} by ${count(content.clients, 'client', 'clients')}`],
    ['Device log', `${count(device.records, 'record', 'records')}, ${bytes(device.recordBytes)}; snapshot ${bytes(device.snapshotBytes)}${device.isWriting ? '; writing' : ''}`],
    ['Place', `${String(position.sequence)} in epoch ${String(position.epoch)}`],
    ['Lineage', lineage ?? 'not known yet'],
    use,
  ]
}

/** Figures with their names. */
class Rows {
  readonly list: HTMLElement = make('dl')
  readonly #values = new Map<string, HTMLElement>()

  /** The names of the rows stay in the order in which they first came. */
  draw(rows: readonly Row[]): void {
    for (const [name, value] of rows) {
      let cell = this.#values.get(name)
      if (cell === undefined) {
        cell = make('dd')
        this.list.append(make('dt', { textContent: name }), cell)
        this.#values.set(name, cell)
      }
      write(cell, value)
    }
  }
}

function fold(title: string, content: HTMLElement): HTMLElement {
  const details = make('details')
  details.append(make('summary', { textContent: title }), content)
  return details
}

/** Shows a sentence and how it is meant. */
function say(element: HTMLElement, { tone, words }: Verdict): void {
  if (element.dataset['tone'] !== tone) element.dataset['tone'] = tone
  write(element, words)
}

/** Leaves alone what is right already: a selection stays, and nothing is read out twice. */
function write(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
): HTMLElementTagNameMap[K] {
  return Object.assign(document.createElement(tag), properties)
}
