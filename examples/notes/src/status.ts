// Says in words whether the page is connected, and where the latest edit is safe.

import type { Room, RoomStatus, Saved } from 'coweave'

const ANNOUNCE_AFTER_MS = 1_500
const CLOCK_MS = 500

export interface StatusElements {
  readonly connection: HTMLElement
  readonly saved: HTMLElement
  /** Read out by screen readers, once things have settled. */
  readonly announcer: HTMLElement
}

export function showStatus(room: Room, elements: StatusElements): void {
  const announce = announcer(elements.announcer)
  let savedWords = ''
  const draw = (): void => {
    const connection = connectionWords(room.status, Date.now())
    savedWords = savedIn(room.saved, room.status)
    setState(elements.connection, room.status.state, connection)
    setState(elements.saved, savedWords === 'Saved' ? 'safe' : 'waiting', savedWords)
    announce(`${connection.replace(/, retrying.*/, '')}. ${savedWords}.`)
  }
  room.on('status', draw)
  room.on('saved', draw)
  setInterval(() => {
    if (room.status.state === 'offline') draw()
  }, CLOCK_MS)
  draw()
}

/** The words for a connection; `now` as in `Date.now()`. */
function connectionWords(status: RoomStatus, now: number): string {
  switch (status.state) {
    case 'opening':
      return 'Opening…'
    case 'connecting':
      return 'Connecting…'
    case 'syncing':
      return `Loading, ${Math.floor((100 * status.received) / status.total)} %`
    case 'live':
      return 'Live'
    case 'offline': {
      const seconds = Math.ceil(((status.retryAt ?? now) - now) / 1000)
      return seconds > 0 ? `Offline, retrying in ${seconds} s` : 'Offline, retrying…'
    }
    case 'stopped':
      return `Stopped: ${status.error.message}`
    case 'disposed':
      return 'Closed'
  }
}

/** “Saved” is said only when the relay has everything on its disk. */
function savedIn(saved: Saved, status: RoomStatus): string {
  if (saved.tier === 'durable') return 'Saved'
  if (saved.tier === 'accepted' || status.state === 'live') return 'Saving…'
  return saved.tier === 'device' ? 'On this device' : 'Only in memory'
}

function setState(element: HTMLElement, state: string, words: string): void {
  if (element.dataset['state'] !== state) element.dataset['state'] = state
  if (element.textContent !== words) {
    element.textContent = words
    element.title = words
  }
}

/** A screen reader hears where things settled, not every step on the way. */
function announcer(element: HTMLElement): (words: string) => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  let last = ''
  return words => {
    if (words === last) return
    last = words
    clearTimeout(timer)
    timer = setTimeout(() => { element.textContent = words }, ANNOUNCE_AFTER_MS)
  }
}
