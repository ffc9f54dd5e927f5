// Values on their way into the module and back: JSON, with one form for what JSON cannot say (see
// core/src/doc/content.rs).

import { checkIndex, checkLength, checkString, isBytes, wrongType } from './argument.js'
import { apiError } from './error.js'
import { Kind } from './kind.js'
import { New } from './new.js'
import type { NodeId } from './shared.js'

/** The key of what JSON has no word for. */
const SPECIAL = '\u0000'
/** The character for a byte 0: JSON escapes none from here on. */
const BYTES_START = 0x100
/** A new type is three levels of JSON, and the module reads 128. */
const DEPTH_MAX = 40

/** The module takes no more bytes. */
const JSON_LENGTH_MAX = 3 << 20

/** A content of a map, an array or an element, checked and as JSON. */
export function contentJson(value: unknown, what: string): string {
  return toJson(content(value, what, []), what)
}

/** Contents of a sequence. */
export function contentsJson(values: unknown, what: string): string {
  if (!Array.isArray(values)) throw wrongType(what, 'an array', values)
  // Not `map`, here and below: it passes over holes, and makes another instance of what is no plain array.
  return toJson(Array.from(values, value => content(value, what, [])), what)
}

/** The steps of a delta. */
export function deltaJson(steps: unknown, what: string): string {
  return toJson(delta(steps, what, []), what)
}

function toJson(checked: unknown, what: string): string {
  return checkLength(JSON.stringify(checked), JSON_LENGTH_MAX, `the JSON of ${what}`)
}

function content(value: unknown, what: string, outer: readonly unknown[]): unknown {
  if (!(value instanceof New)) return plain(value, what, outer)
  checkDepth(value, what, outer)
  const inside = [...outer, value]
  const part = (at: number): unknown => value.parts[at]
  const list = (values: unknown): unknown => {
    if (!Array.isArray(values)) throw wrongType(what, 'an array', values)
    return Array.from(values, item => content(item, what, inside))
  }
  const entries = (values: unknown): unknown => {
    return mapEntries(values, what, entry => content(entry, what, inside))
  }
  switch (value.kind) {
    case Kind.map:
      return special(value.kind, entries(part(0)))
    case Kind.array:
    case Kind.xmlFragment:
      return special(value.kind, list(part(0)))
    case Kind.text:
    case Kind.xmlText:
      return special(value.kind, delta(part(0), what, inside))
    case Kind.xmlElement: {
      const name = checkString(part(0), 'the name of an element')
      return special(value.kind, name, entries(part(1)), list(part(2)))
    }
  }
}

function delta(steps: unknown, what: string, outer: readonly unknown[]): unknown {
  if (!Array.isArray(steps)) throw wrongType(what, 'an array of steps', steps)
  return Array.from(steps, (step: unknown) => {
    if (typeof step !== 'object' || step === null) throw wrongType(`a step of ${what}`, 'an object', step)
    const { insert, retain, delete: gone, attributes } = step as Record<string, unknown>
    const formats = attributes === undefined || attributes === null
      ? {}
      : { attributes: checkFormats(attributes) }
    const given = [insert, retain, gone].filter(it => it !== undefined)
    if (given.length !== 1) throw wrongType(`a step of ${what}`, 'one of insert, retain and delete', step)
    if (insert !== undefined) {
      if (typeof insert !== 'string' && (typeof insert !== 'object' || insert === null)) {
        throw wrongType('what a step inserts', 'a string, an object or a new shared type', insert)
      }
      const inserted = insert instanceof New ? content(insert, what, outer) : plain(insert, what, outer, true)
      return { insert: inserted, ...formats }
    }
    return gone === undefined
      ? { retain: checkIndex(retain, 'what a step retains'), ...formats }
      : { delete: checkIndex(gone, 'what a step deletes') }
  })
}

/** Formats of a text; they are written as JSON by every peer, so bytes do not survive in them. */
export function checkFormats(value: unknown): Record<string, unknown> {
  return mapEntries(value, 'the formats', format => plain(format, 'a format', [], true))
}

/** A value that is nothing but data; `isJson` when every peer writes it as JSON, which has no bytes. */
function plain(value: unknown, what: string, outer: readonly unknown[], isJson = false): unknown {
  switch (typeof value) {
    case 'string':
      return checkString(checkLength(value, JSON_LENGTH_MAX, what), what)
    case 'boolean':
      return value
    case 'number':
      if (!Number.isFinite(value)) throw wrongType(what, 'a finite number', value)
      // Larger ones would be read as whole numbers of 64 bits.
      return Math.abs(value) > Number.MAX_SAFE_INTEGER || Object.is(value, -0)
        ? special('number', bits(value))
        : value
    case 'object':
      if (value === null) return null
      break
    default:
      throw wrongType(what, 'a plain value (delete an entry to have none)', value)
  }
  checkDepth(value, what, outer)
  const inside = [...outer, value]
  if (isBytes(value)) {
    if (isJson) throw apiError('api.wrong_type', `${what} must not hold bytes: formats and embedded objects are JSON`)
    return special('bytes', bytesText(value))
  }
  if (Array.isArray(value)) return Array.from(value, item => plain(item, what, inside, isJson))
  if (value instanceof New) {
    throw apiError('api.wrong_type', `${what} holds a new shared type inside a plain value: use newMap or newArray around it`)
  }
  return mapEntries(value, what, entry => plain(entry, what, inside, isJson))
}

function checkDepth(value: unknown, what: string, outer: readonly unknown[]): void {
  if (outer.includes(value)) throw apiError('api.wrong_type', `${what} holds itself`)
  if (outer.length >= DEPTH_MAX) {
    throw apiError('api.too_deep', `${what} is nested deeper than ${String(DEPTH_MAX)} levels`)
  }
}

function mapEntries(
  value: unknown,
  what: string,
  change: (entry: unknown) => unknown,
): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrongType(what, 'an object', value)
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    const name = (value.constructor as { readonly name?: string } | undefined)?.name ?? 'some class'
    throw apiError('api.wrong_type', `${what} must be plain data, not an instance of ${name}`)
  }
  const entries: [string, unknown][] = []
  for (const [key, entry] of Object.entries(value)) {
    // As in JSON, an entry that is undefined is none.
    if (entry === undefined) continue
    entries.push([checkKey(key), change(entry)])
  }
  // A key `__proto__` becomes an entry as well.
  return Object.fromEntries(entries)
}

/** A key to write under. */
export function checkKey(value: unknown): string {
  const key = checkString(value, 'the key')
  if (key === SPECIAL) throw apiError('api.wrong_type', 'the key U+0000 is taken')
  return checkLength(key, JSON_LENGTH_MAX, 'the key')
}

/** A key to look for. */
export function checkName(value: unknown): string {
  const key = checkString(value, 'the key')
  if (key.length <= JSON_LENGTH_MAX) return key
  throw apiError('api.wrong_type', `no key has more than ${String(JSON_LENGTH_MAX)} characters`)
}

function special(...parts: readonly unknown[]): Record<string, unknown> {
  return { [SPECIAL]: parts }
}

/** The form of a number in memory, which is quicker to read than its digits. */
function bits(number: number): string {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, number)
  return view.getBigUint64(0).toString(16)
}

function bytesText(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...Array.from(bytes.subarray(at, at + 8192), byte => BYTES_START + byte))
  }
  return text
}

/** What a name of a type is followed by, when it is told by the module: the name of an element. */
export type MakeNode = (id: NodeId, name: string | undefined) => unknown

/** Reads a value of the module. */
export function fromJson(json: string, makeNode: MakeNode): unknown {
  const value: unknown = JSON.parse(json)
  return json.includes('\\u0000') ? revive(value, makeNode) : value
}

/** Puts in place what JSON had no word for. */
export function revive(value: unknown, makeNode: MakeNode): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(item => revive(item, makeNode))
  const parts = (value as Record<string, unknown>)[SPECIAL]
  if (parts !== undefined) return reviveSpecial(parts as readonly unknown[], makeNode)
  const entries = Object.entries(value).map(([key, entry]) => [key, revive(entry, makeNode)])
  return Object.fromEntries(entries) as unknown
}

function reviveSpecial(parts: readonly unknown[], makeNode: MakeNode): unknown {
  const [kind, content] = parts
  switch (kind) {
    case 'undefined':
      return undefined
    case 'number':
      return Number(content)
    case 'bigint':
      return BigInt(content as string)
    case 'bytes':
      return Uint8Array.from(content as string, char => char.charCodeAt(0) - BYTES_START)
    case 'object':
      return Object.fromEntries(
        (content as [string, unknown][]).map(([key, entry]) => [key, revive(entry, makeNode)]),
      ) as unknown
    default:
      return makeNode(toNodeId(parts), parts[3] as string | undefined)
  }
}

/** Which type is meant by what the module wrote. */
export function toNodeId(parts: readonly unknown[]): NodeId {
  const [kind, first, clock] = parts as [Kind, string | number, number | undefined]
  return typeof first === 'string'
    ? { kind, name: first }
    : { kind, client: first, clock: clock ?? 0 }
}
