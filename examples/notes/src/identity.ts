// Who is writing here: a friendly name and a color, kept in this browser.

export interface Identity {
  readonly name: string
  readonly color: string
}

const STORAGE_KEY = 'coweave-notes.identity'
const NAME_LENGTH_MAX = 24
const FALLBACK_COLOR = '#8a8578'
const ADJECTIVES = ['Quiet', 'Bright', 'Early', 'Gentle', 'Curious', 'Merry', 'Patient', 'Nimble', 'Sunny', 'Wise']
const ANIMALS = ['Otter', 'Heron', 'Badger', 'Finch', 'Lynx', 'Marten', 'Robin', 'Hare', 'Beaver', 'Owl']
const COLORS = ['#c2683f', '#2f7d6b', '#3b6fb5', '#8a56a8', '#b5485d', '#6d7f2c', '#b07d1e', '#2c7f99']

export function loadIdentity(): Identity {
  try {
    return readIdentity(JSON.parse(localStorage.getItem(STORAGE_KEY) ?? '')) ?? randomIdentity()
  } catch {
    return randomIdentity()
  }
}

/** Keeps the identity for the next visit; where the browser keeps nothing, it lasts as long as the page. */
export function saveIdentity(identity: Identity): void {
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(identity))
  } catch {
    // Private windows may refuse; the name is no reason to stop anybody from writing.
  }
}

/**
 * Reads name and color from what somebody else shows. Both come from a stranger: the name is cut, and
 * a color that is not exactly `#rrggbb` never reaches a style.
 */
export function readIdentity(value: unknown): Identity | null {
  if (typeof value !== 'object' || value === null) return null
  const { name, color } = value as { name?: unknown; color?: unknown }
  if (typeof name !== 'string' || name.trim() === '') return null
  const isColor = typeof color === 'string' && /^#[0-9a-f]{6}$/i.test(color)
  return { name: name.trim().slice(0, NAME_LENGTH_MAX), color: isColor ? color : FALLBACK_COLOR }
}

/** Up to two letters for a round badge. */
export function initialsOf(name: string): string {
  const words = name.split(/\s+/).filter(word => word !== '')
  return words.slice(0, 2).map(word => [...word][0]?.toUpperCase() ?? '').join('')
}

/** Black or white, whichever can be read on the color. */
export function inkOn(color: string): string {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map(at => {
    const share = Number.parseInt(color.slice(at, at + 2), 16) / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.3 ? '#1c1b19' : '#ffffff'
}

function randomIdentity(): Identity {
  return { name: `${pick(ADJECTIVES)} ${pick(ANIMALS)}`, color: pick(COLORS) }
}

function pick(values: readonly string[]): string {
  return values[Math.floor(Math.random() * values.length)] ?? ''
}
