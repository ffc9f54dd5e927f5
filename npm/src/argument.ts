// Checks of what apps hand in: types promise nothing at run time.

import { apiError } from './error.js'

const ROOM_NAME_BYTES_MAX = 256
const INDEX_MAX = 0xffff_ffff

/** A string that can be written as UTF-8. */
export function checkString(value: unknown, what: string): string {
  if (typeof value !== 'string') throw wrongType(what, 'a string', value)
  // In unicode mode only a surrogate that is not part of a pair matches.
  if (/\p{Surrogate}/u.test(value)) {
    throw apiError('api.split_surrogate', `${what} holds half of a surrogate pair`)
  }
  return value
}

/** What would only be refused by the module, whose memory grows with all that it is given, and stays so. */
export function checkLength(text: string, max: number, what: string): string {
  if (text.length <= max) return text
  const message = `${what} has ${String(text.length)} characters, and one edit takes ${String(max)}: make several of it`
  throw apiError('update.too_large', message)
}

/** An index or a length; whether it fits the text is checked by the module. */
export function checkIndex(value: unknown, what: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    throw wrongType(what, 'a whole number', value)
  }
  if (value < 0 || value > INDEX_MAX) {
    throw apiError('api.out_of_range', `${what} is ${String(value)}`)
  }
  return value
}

/** Bytes, perhaps of another window. */
export function isBytes(value: unknown): value is Uint8Array {
  return ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === '[object Uint8Array]'
}

export function checkBytes(value: unknown, what: string): Uint8Array {
  if (!isBytes(value)) throw wrongType(what, 'a Uint8Array', value)
  // Nobody can read those that were transferred away, which look empty.
  return value.length === 0 ? new Uint8Array() : value
}

/** A function. */
export function checkFunction<T extends (...never: never[]) => unknown>(value: T, what: string): T {
  if (typeof value !== 'function') throw wrongType(what, 'a function', value)
  return value
}

/** The name of something that can be listened to. */
export function checkEvent(value: unknown, names: readonly string[]): void {
  if (!names.includes(value as string)) throw wrongType('the event', `one of ${names.join(', ')}`, value)
}

/** The name of a room, by the same rules as in the core. */
export function checkRoomName(value: unknown): string {
  const name = checkString(value, 'the room name')
  if (name === '') throw apiError('room.invalid_name', 'a room name must not be empty')
  if (/\p{Cc}/u.test(name)) {
    throw apiError('room.invalid_name', 'a room name must not hold control characters')
  }
  if (new TextEncoder().encode(name).length > ROOM_NAME_BYTES_MAX) {
    const message = `a room name has at most ${String(ROOM_NAME_BYTES_MAX)} bytes of UTF-8`
    throw apiError('room.invalid_name', message)
  }
  return name
}

/** The name of a user, which keeps what the device has for different ones apart. */
export function checkUser(value: unknown): string {
  const user = checkString(value, 'options.user')
  // The device's store tells a user from a room by such a character.
  if (user === '' || /\p{Cc}/u.test(user)) {
    const message = 'options.user must be a name without control characters, and not empty'
    throw apiError('api.wrong_type', message)
  }
  return user
}

/** The address of a relay, as a WebSocket URL. */
export function checkUrl(value: unknown): string {
  if (typeof value !== 'string' && !(value instanceof URL)) {
    throw wrongType('the URL', 'a string or a URL', value)
  }
  let url: URL
  try {
    url = new URL(value)
  } catch {
    throw apiError('api.invalid_url', `${JSON.stringify(value)} is no absolute URL`)
  }
  const protocol = { 'ws:': 'ws:', 'wss:': 'wss:', 'http:': 'ws:', 'https:': 'wss:' }[url.protocol]
  if (protocol === undefined) {
    const message = `${url.protocol} is none of ws:, wss:, http: and https:`
    throw apiError('api.invalid_url', message)
  }
  url.protocol = protocol
  url.hash = ''
  return url.href
}

/** A state that others can see: a JSON object, or `null`; given back as JSON text. */
export function checkPresence(value: unknown): string | null {
  if (value === null) return null
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw wrongType('the presence state', 'an object or null', value)
  }
  let json: string | undefined
  try {
    json = JSON.stringify(value)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw apiError('api.wrong_type', `the presence state cannot be written as JSON: ${reason}`)
  }
  if (!json?.startsWith('{')) throw wrongType('the presence state', 'a JSON object', value)
  return json
}

/** Texts by name. */
export function checkTexts(value: unknown): Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrongType('the content', 'an object of texts by name', value)
  }
  const texts: Record<string, string> = {}
  for (const [name, content] of Object.entries(value)) {
    texts[checkString(name, 'the name of a text')] = checkString(content, `the text ${name}`)
  }
  return texts
}

/** The error for a value of the wrong type. */
export function wrongType(what: string, wanted: string, value: unknown): Error {
  const got = value === null ? 'null' : typeof value === 'number' ? String(value) : typeof value
  return apiError('api.wrong_type', `${what} must be ${wanted}, not ${got}`)
}
