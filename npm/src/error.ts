// The one error class, its codes, and the way of errors out of the wasm module.

/** Every code: those of the core, in its order, then those that only this package knows. */
export const errorCodes = [
  'frame.malformed',
  'frame.too_large',
  'frame.unexpected',
  'protocol.unsupported',
  'connection.hello_timeout',
  'connection.hello_too_large',
  'connection.idle',
  'connection.too_slow',
  'connection.lost',
  'token.failed',
  'token.expired',
  'token.denied',
  'token.revoked',
  'room.invalid_name',
  'room.too_many',
  'room.too_often',
  'room.full',
  'room.not_joined',
  'room.lineage_mismatch',
  'room.unavailable',
  'room.damaged',
  'room.deleted',
  'room.read_only',
  'room.too_large',
  'update.malformed',
  'update.too_large',
  'update.too_deep',
  'update.missing_dependencies',
  'update.foreign_client',
  'update.contradiction',
  'snapshot.collected',
  'presence.malformed',
  'presence.too_large',
  'presence.too_many',
  'relay.full',
  'relay.draining',
  'relay.degraded',
  'relay.internal',
  'device.unavailable',
  'api.wrong_type',
  'api.not_ready',
  'api.disposed',
  'api.out_of_range',
  'api.split_surrogate',
  'api.deleted',
  'api.too_deep',
  'api.invalid_url',
  'client.load_failed',
  'client.internal',
  'unknown',
] as const

/** What went wrong; stable for ever. */
export type ErrorCode = (typeof errorCodes)[number]

/**
 * Who has to act: `peer` and `incompatible` are for whoever runs the two sides, `app` for the
 * author of the app, `relay` for whoever runs the relay, `environment` for nobody (network, device).
 */
export type Fault = 'peer' | 'incompatible' | 'app' | 'relay' | 'environment'

/** The content of an error. */
export interface ErrorDetails {
  /** What went wrong; stable for ever. */
  readonly code: ErrorCode
  /** A sentence for the person who has to act. */
  readonly message: string
  /** Who has to act. */
  readonly fault: Fault
  /** Whether the same thing may succeed when tried again later. */
  readonly retryable: boolean
  /** How long to wait before that, in milliseconds, when the other side said so. */
  readonly retryAfter?: number
}

/** Every error that this package throws, rejects with, or hands to a listener. */
export class CoweaveError extends Error {
  /** What went wrong; stable for ever. */
  readonly code: ErrorCode
  /** Who has to act. */
  readonly fault: Fault
  /** Whether the same thing may succeed when tried again later. */
  readonly retryable: boolean
  /** How long to wait before that, in milliseconds, when the other side said so. */
  readonly retryAfter: number | undefined

  constructor(details: ErrorDetails, options?: { readonly cause?: unknown }) {
    super(details.message, options)
    this.name = 'CoweaveError'
    this.code = details.code
    this.fault = details.fault
    this.retryable = details.retryable
    this.retryAfter = details.retryAfter
  }

  /** What it says, for `JSON.stringify`. */
  toJSON(): ErrorDetails {
    const { code, message, fault, retryable, retryAfter } = this
    return { code, message, fault, retryable, ...retryAfter !== undefined && { retryAfter } }
  }
}

/** An error for the author of the app. */
export function apiError(
  code: 'api.wrong_type' | 'api.disposed' | 'api.out_of_range' | 'api.split_surrogate'
    | 'api.deleted' | 'api.too_deep' | 'api.invalid_url' | 'api.not_ready' | 'room.invalid_name'
    | 'update.too_large',
  message: string,
): CoweaveError {
  return new CoweaveError({ code, message, fault: 'app', retryable: false })
}

/** The error for a wasm module that cannot be loaded. */
export function loadError(cause: unknown): CoweaveError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  const message = `the wasm module cannot be loaded: ${reason}`
  return new CoweaveError(
    { code: 'client.load_failed', message, fault: 'environment', retryable: true },
    { cause },
  )
}

/** The error for an instance of the wasm module that ended in the middle of its work. */
export function trapError(cause: unknown): CoweaveError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  const message = `a bug in coweave stopped the wasm module: ${reason}`
  return new CoweaveError(
    { code: 'client.internal', message, fault: 'app', retryable: false },
    { cause },
  )
}

/** Calls the wasm module, and turns what it throws into a `CoweaveError`. */
export function guarded<T>(call: () => T): T {
  try {
    return call()
  } catch (thrown) {
    throw toError(thrown)
  }
}

/** The module throws JSON text; anything else is a bug in it. */
export function toError(thrown: unknown): CoweaveError {
  if (thrown instanceof CoweaveError) return thrown
  if (typeof thrown === 'string') return new CoweaveError(JSON.parse(thrown) as ErrorDetails)
  return trapError(thrown)
}
