// The page of both stacks: opens the room of its address, reads the text, and says how long that took.

import { editsUpTo } from './edits.js'

/** Opens with `open(address, room)`, which gives a document as soon as what the device has is in it. */
export async function measure(open) {
  const given = new URLSearchParams(location.search)
  const document = await open(given.get('server'), given.get('room'))
  const content = document.read()
  const readAt = performance.now()
  // A document that cannot be edited would be of no use.
  if (given.has('edited')) document.change([{ index: 0, insert: 'x' }])
  if (given.has('edited') && document.read() !== `x${content}`) throw new Error('the edit is not there')
  const editedAt = performance.now()
  globalThis.measured = {
    fromScript: editedAt - globalThis.began,
    fromNavigation: readAt,
    length: content.length,
    phases: document.phases ?? {},
  }
  globalThis.fill = async (length, manner) => {
    for (const run of editsUpTo(length, manner)) {
      document.change(run)
      await nextTask()
    }
    await document.settled()
    return document.read().length
  }
}

/** Both have the same methods for it. */
export function apply(text, edit) {
  if (edit.insert === undefined) text.delete(edit.index, edit.delete)
  else text.insert(edit.index, edit.insert)
}

/** Lets everything else run; a timer would wait for four milliseconds. */
function nextTask() {
  return new Promise(resolve => {
    const channel = new MessageChannel()
    channel.port1.onmessage = () => {
      channel.port1.close()
      resolve()
    }
    channel.port2.postMessage(null)
  })
}
