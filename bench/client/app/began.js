// Notes when the first line of the page's code runs; imported before anything else.
globalThis.began = performance.now()
