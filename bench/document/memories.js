// What WebAssembly modules hold: no figure of the engine tells it.

const memories = new Set()

/** From here on each instance's memory is noted; to be called before any module is loaded. */
export function noteMemories() {
  const { Instance, instantiate, instantiateStreaming } = WebAssembly
  const note = instance => {
    for (const value of Object.values(instance.exports)) {
      if (value instanceof WebAssembly.Memory) memories.add(new WeakRef(value))
    }
    return instance
  }
  WebAssembly.Instance = new Proxy(Instance, {
    construct: (target, values) => note(Reflect.construct(target, values)),
  })
  const noteResult = result => {
    note(result.instance ?? result)
    return result
  }
  WebAssembly.instantiate = async (...values) => noteResult(await instantiate(...values))
  WebAssembly.instantiateStreaming = async (...values) => noteResult(await instantiateStreaming(...values))
}

/** The size of all that are still there. */
export function memoryBytes() {
  return [...memories].reduce((bytes, memory) => bytes + (memory.deref()?.buffer.byteLength ?? 0), 0)
}
