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
  return toJson(what, check => check.content(value))
}

/** Contents of a sequence. */
export function contentsJson(values: unknown, what: string): string {
  return toJson(what, check => check.contents(values))
}

/** The steps of a delta. */
export function deltaJson(steps: unknown, what: string): string {
  return toJson(what, check => check.delta(steps))
}

/** The steps of a delta that gives formats to so much from an index on. */
export function formatJson(index: number, length: number, formats: unknown): string {
  return toJson('the formats', check => [{ retain: index }, { retain: length, attributes: check.formats(formats) }])
}

function toJson(what: string, read: (check: Check) => unknown): string {
  return checkLength(JSON.stringify(read(new Check(what))), JSON_LENGTH_MAX, `the JSON of ${what}`)
}

/**
 * What one call writes, value by value: what no document can hold is refused, and so is what is too much, before
 * anything is made of all of it.
 */
class Check {
  readonly #what: string
  /** The values around the one that is looked at. */
  readonly #around: unknown[] = []
  /** How long the JSON is at least. */
  #length = 0

  constructor(what: string) {
    this.#what = what
  }

  content(value: unknown): unknown {
    return value instanceof New
      ? this.#inside(value, this.#what, () => this.#fresh(value))
      : this.#plain(value, this.#what)
  }

  contents(values: unknown): unknown {
    if (!Array.isArray(values)) throw wrongType(this.#what, 'an array', values)
    // Not `map`, here and below: it passes over holes, and makes another instance of what is no plain array.
    return Array.from(values, value => this.content(value))
  }

  delta(steps: unknown): unknown {
    if (!Array.isArray(steps)) throw wrongType(this.#what, 'an array of steps', steps)
    return Array.from(steps, (step: unknown) => this.#step(step))
  }

  /** Formats are written as JSON by every peer, so bytes do not survive in them. */
  formats(value: unknown): unknown {
    return this.#entries(value, 'the formats', format => this.#plain(format, 'a format', true))
  }

  #fresh({ kind, parts }: New): unknown {
    const entries = (values: unknown): unknown => {
      return this.#entries(values, this.#what, entry => this.content(entry))
    }
    switch (kind) {
      case Kind.map:
        return special(kind, entries(parts[0]))
      case Kind.array:
      case Kind.xmlFragment:
        return special(kind, this.contents(parts[0]))
      case Kind.text:
      case Kind.xmlText:
        return special(kind, this.delta(parts[0]))
      case Kind.xmlElement: {
        const name = this.#string(parts[0], 'the name of an element')
        return special(kind, name, entries(parts[1]), this.contents(parts[2]))
      }
    }
  }

  #step(step: unknown): unknown {
    const what = `a step of ${this.#what}`
    if (typeof step !== 'object' || step === null) throw wrongType(what, 'an object', step)
    const { insert, retain, delete: gone, attributes } = step as Record<string, unknown>
    const formats = attributes === undefined || attributes === null
      ? {}
      : { attributes: this.formats(attributes) }
    const given = [insert, retain, gone].filter(it => it !== undefined)
    if (given.length !== 1) throw wrongType(what, 'one of insert, retain and delete', step)
    this.#count(1)
    if (insert !== undefined) {
      if (typeof insert !== 'string' && (typeof insert !== 'object' || insert === null)) {
        throw wrongType('what a step inserts', 'a string, an object or a new shared type', insert)
      }
      const inserted = insert instanceof New ? this.content(insert) : this.#plain(insert, this.#what, true)
      return { insert: inserted, ...formats }
    }
    return gone === undefined
      ? { retain: checkIndex(retain, 'what a step retains'), ...formats }
      : { delete: checkIndex(gone, 'what a step deletes') }
  }

  /** A value that is nothing but data; `isJson` when every peer writes it as JSON, which has no bytes. */
  #plain(value: unknown, what: string, isJson = false): unknown {
    switch (typeof value) {
      case 'string':
        return this.#string(value, what)
      case 'boolean':
        this.#count(1)
        return value
      case 'number':
        this.#count(1)
        if (!Number.isFinite(value)) throw wrongType(what, 'a finite number', value)
        // Larger ones would be read as whole numbers of 64 bits.
        return Math.abs(value) > Number.MAX_SAFE_INTEGER || Object.is(value, -0)
          ? special('number', bits(value))
          : value
      case 'object':
        if (value !== null) return this.#inside(value, what, () => this.#object(value, what, isJson))
        this.#count(1)
        return null
      default:
        throw wrongType(what, 'a plain value (delete an entry to have none)', value)
    }
  }

  #object(value: object, what: string, isJson: boolean): unknown {
    if (isBytes(value)) {
      if (isJson) throw apiError('api.wrong_type', `${what} must not hold bytes: formats and embedded objects are JSON`)
      this.#count(value.length)
      return special('bytes', bytesText(value))
    }
    if (Array.isArray(value)) return Array.from(value, item => this.#plain(item, what, isJson))
    if (value instanceof New) {
      throw apiError('api.wrong_type', `${what} holds a new shared type inside a plain value: use newMap or newArray around it`)
    }
    return this.#entries(value, what, entry => this.#plain(entry, what, isJson))
  }

  #entries(value: unknown, what: string, read: (entry: unknown) => unknown): Record<string, unknown> {
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
      this.#count(key.length)
      entries.push([checkKey(key), read(entry)])
    }
    // A key `__proto__` becomes an entry as well.
    return Object.fromEntries(entries)
  }

  #string(value: unknown, what: string): string {
    if (typeof value === 'string') this.#count(value.length)
    return checkString(value, what)
  }

  #inside<T>(value: object, what: string, read: () => T): T {
    if (this.#around.includes(value)) throw apiError('api.wrong_type', `${what} holds itself`)
    if (this.#around.length >= DEPTH_MAX) {
      throw apiError('api.too_deep', `${what} is nested deeper than ${String(DEPTH_MAX)} levels`)
    }
    this.#count(1)
    this.#around.push(value)
    const inside = read()
    this.#around.pop()
    return inside
  }

  /** No value takes less than a character: what is in many places at once does not go on forever. */
  #count(length: number): void {
    this.#length += length + 1
    if (this.#length <= JSON_LENGTH_MAX) return
    const message = `${this.#what} is more than the ${String(JSON_LENGTH_MAX)} characters of JSON that one edit takes: make several of it`
    throw apiError('update.too_large', message)
  }
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
