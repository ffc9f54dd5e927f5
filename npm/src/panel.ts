// The entry `coweave/panel`: a panel for developers, as a custom element.
export {}
