// The panel as a custom element: it looks at its client while somebody can look at it.

import type { DebugSnapshot } from './debug.js'
import { COPY, PanelView } from './panel-view.js'

const REFRESH_MS = 500
const COPIED_SHOWN_MS = 2_000

/** What the panel can show: a client. */
export interface Inspected {
  /** What `client.debug` gives. */
  debug(): DebugSnapshot
}

/** The element `coweave-panel`. */
export interface PanelElement extends HTMLElement {
  /** Whose state is shown. */
  client: Inspected | null
}

/** Makes the class, where there are elements at all. */
export function createPanelClass(): new () => PanelElement {
  return class extends HTMLElement implements PanelElement {
    #client: Inspected | null = null
    #view: PanelView | undefined
    #timer: ReturnType<typeof setTimeout> | undefined
    readonly #visibility = new IntersectionObserver(entries => {
      clearTimeout(this.#timer)
      if (entries.at(-1)?.isIntersecting === true) this.#refresh()
    })

    get client(): Inspected | null {
      return this.#client
    }

    set client(client: Inspected | null) {
      this.#client = client
      this.#draw()
    }

    connectedCallback(): void {
      this.#adoptEarlyClient()
      this.#view ??= this.#build()
      this.#draw()
      this.#visibility.observe(this)
    }

    disconnectedCallback(): void {
      this.#visibility.disconnect()
      clearTimeout(this.#timer)
    }

    /** A client that was set before the element was defined hides the setter. */
    #adoptEarlyClient(): void {
      const own = Object.getOwnPropertyDescriptor(this, 'client')
      if (own === undefined) return
      Reflect.deleteProperty(this, 'client')
      this.client = own.value as Inspected | null
    }

    #build(): PanelView {
      const view = new PanelView(this.attachShadow({ mode: 'open' }))
      view.copyButton.addEventListener('click', () => void this.#copy(view))
      return view
    }

    #refresh(): void {
      if (!document.hidden) this.#draw()
      this.#timer = setTimeout(() => { this.#refresh() }, REFRESH_MS)
    }

    #draw(): void {
      if (this.#client !== null) this.#view?.draw(this.#client.debug())
    }

    async #copy({ copyButton, copied, byHand }: PanelView): Promise<void> {
      const json = JSON.stringify(this.#client?.debug() ?? null, null, 2)
      try {
        await navigator.clipboard.writeText(json)
      } catch {
        const area = document.createElement('textarea')
        area.readOnly = true
        area.ariaLabel = 'The snapshot as JSON, to be copied by hand'
        area.value = json
        byHand.replaceChildren(area)
        byHand.hidden = false
        area.select()
        return
      }
      byHand.hidden = true
      copyButton.textContent = 'Copied'
      copied.textContent = 'The snapshot was copied.'
      setTimeout(() => {
        copyButton.textContent = COPY
        copied.textContent = ''
      }, COPIED_SHOWN_MS)
    }
  }
}
