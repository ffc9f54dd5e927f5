// Shows what the client does, for whoever asks; the code of the panel is loaded by the first question.

import type { Client } from 'coweave'

export function offerPanel(client: Client, button: HTMLButtonElement, place: HTMLElement): void {
  const toggle = async (): Promise<void> => {
    if (place.childElementCount > 0) {
      place.replaceChildren()
    } else {
      const { definePanel } = await import('coweave/panel')
      definePanel()
      const panel = document.createElement('coweave-panel')
      panel.client = client
      place.replaceChildren(panel)
    }
    place.hidden = place.childElementCount === 0
    button.setAttribute('aria-expanded', String(!place.hidden))
  }
  button.addEventListener('click', () => void toggle())
  const close = (event: KeyboardEvent): void => {
    if (event.key === 'Escape' && !place.hidden) {
      void toggle()
      button.focus()
    }
  }
  place.addEventListener('keydown', close)
  button.addEventListener('keydown', close)
}
