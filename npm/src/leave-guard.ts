// Asks before the page is left, as long as there is something to lose.

import { wrongType } from './argument.js'
import { Cleanup, type Disposer } from './disposer.js'
import type { RoomSession } from './room-session.js'
import type { Session } from './session.js'

/** What `client.guardLeaving` can be told. */
export interface LeaveGuardOptions {
  /**
   * Where edits have to be before the page may go without a question. `device` by default: in this
   * device's store, or, where there is none or it failed, durable on the relay.
   */
  readonly until?: 'device' | 'durable'
}

/** Watches the rooms of a session; without a page (Node, workers) there is nothing to leave. */
export function guardLeaving(
  session: Session,
  rooms: () => Iterable<RoomSession>,
  options: LeaveGuardOptions,
): Disposer {
  if (typeof options !== 'object' || (options as object | null) === null) {
    throw wrongType('the options', 'an object', options)
  }
  const { until = 'device' } = options
  if (!['device', 'durable'].includes(until)) {
    throw wrongType('options.until', "'device' or 'durable'", until)
  }
  const page = globalThis.window as Window | undefined
  if (page === undefined) return new Cleanup(() => undefined)

  const isAtRisk = (): boolean => {
    for (const room of rooms()) {
      const { saved, isOnDevice } = room.view
      if (saved.tier !== 'durable' && !(until === 'device' && isOnDevice)) return true
      // A document that was set aside is on the device, or in this page alone.
      if (room.storage.kind !== 'device' && session.copies.has(room.name)) return true
    }
    return false
  }
  const ask = (event: BeforeUnloadEvent): void => {
    // The edits of this very moment count, too.
    session.settle()
    if (!isAtRisk()) return
    event.preventDefault()
    // What browsers of 2023 and before look at.
    event.returnValue = true
  }
  // A listener keeps the page out of the browser's back/forward cache: it is there only when needed.
  let isListening = false
  const watch = (wanted: boolean): void => {
    if (wanted === isListening) return
    isListening = wanted
    if (wanted) page.addEventListener('beforeunload', ask)
    else page.removeEventListener('beforeunload', ask)
  }
  const subscriptions = [
    session.edited.add(() => { watch(true) }),
    session.settled.add(() => { watch(isAtRisk()) }),
  ]
  watch(isAtRisk())
  return new Cleanup(() => {
    for (const subscription of subscriptions) subscription.dispose()
    watch(false)
  })
}
