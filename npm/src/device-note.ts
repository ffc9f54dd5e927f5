// A note outside the device's database that there is one: so that a browser that throws it away is found out.

const NAME = 'coweave.database'

/** Notes for good that this browser keeps a database; the answer is whether that was noted before. */
export function noteDatabase(): boolean {
  // To touch the storage of a process that is no page may cost a warning.
  if (!('document' in globalThis)) return false
  try {
    const isNoted = localStorage.getItem(NAME) !== null
    if (!isNoted) localStorage.setItem(NAME, '')
    return isNoted
  } catch {
    // Forbidden or full.
    return false
  }
}
