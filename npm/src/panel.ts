// The entry `coweave/panel`: what a client does, for developers, as the element `<coweave-panel>`.

import { type Inspected, type PanelElement, createPanelClass } from './panel-element.js'

export type { Inspected, PanelElement }

declare global {
  interface HTMLElementTagNameMap {
    'coweave-panel': PanelElement
  }
}

const NAME = 'coweave-panel'

/**
 * Makes `<coweave-panel>` known to the page. Set its `client`, and it shows whether everything is
 * saved, and if not, why not. Does nothing where there are no elements, or the second time.
 */
export function definePanel(): void {
  if (typeof customElements === 'undefined' || customElements.get(NAME) !== undefined) return
  customElements.define(NAME, createPanelClass())
}
