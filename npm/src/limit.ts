// A limit for what the app is asked for.

/** What a function is asked for, when it gives it in time, and as long as somebody wants it. */
export async function within<T>(ms: number, ask: () => T | Promise<T>, unwanted: AbortSignal): Promise<T> {
  unwanted.throwIfAborted()
  let end: () => void = () => undefined
  const late = new Promise<never>((_resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`no answer within ${String(ms)} ms`))
    }, ms)
    const abort = (): void => {
      reject(new Error('nobody waits for the answer any more'))
    }
    end = () => {
      clearTimeout(timer)
      unwanted.removeEventListener('abort', abort)
    }
    unwanted.addEventListener('abort', abort)
  })
  try {
    return await Promise.race([ask(), late])
  } finally {
    end()
  }
}
