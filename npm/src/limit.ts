// A limit for what the app is asked for.

/** What a promise gives, when it does so in time, and before nobody wants it any more. */
export async function within<T>(ms: number, promise: T | Promise<T>, unwanted: AbortSignal): Promise<T> {
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
    return await Promise.race([promise, late])
  } finally {
    end()
  }
}
