// Signs that the network may be back or gone: its own events, and the page becoming visible.

/** Calls a function at every hint, until the signal is aborted. Without a page (Node) it never does. */
export function watchHints(onHint: () => void, signal: AbortSignal): void {
  const { addEventListener, document } = globalThis as Partial<typeof globalThis>
  addEventListener?.('online', onHint, { signal })
  addEventListener?.('offline', onHint, { signal })
  document?.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') onHint()
  }, { signal })
}
