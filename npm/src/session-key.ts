// By what a relay knows a browser again.

const NAME = 'coweave.session'
const BYTES = 16

/** The key that all tabs of the browser show, or a new one where nothing can be kept. */
export function browserKey(): Uint8Array {
  const key = crypto.getRandomValues(new Uint8Array(BYTES))
  // Where there is no page there are no other tabs, and to touch a process's storage may cost a warning.
  if (!('document' in globalThis)) return key
  try {
    const kept = localStorage.getItem(NAME)
    if (kept !== null && /^([0-9a-f]{2}){16}$/.test(kept)) {
      return key.map((_, at) => Number.parseInt(kept.slice(2 * at, 2 * at + 2), 16))
    }
    localStorage.setItem(NAME, [...key].map(byte => byte.toString(16).padStart(2, '0')).join(''))
  } catch {
    // Forbidden: this tab is a session of its own.
  }
  return key
}
