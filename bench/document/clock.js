// The time that something takes, in microseconds.

/** Measures, and says when its limit is over: so many seconds that pass, on a busy machine too. */
export class Clock {
  #environment
  #end
  #began = 0

  constructor(environment, limit) {
    this.#environment = environment
    this.#end = performance.now() + limit * 1_000
  }

  get isOver() {
    return performance.now() > this.#end
  }

  /** Where the time of the process is known, it counts: others use this machine too. */
  start() {
    this.#began = this.#environment.spent()
  }

  stop() {
    return this.#environment.spent() - this.#began
  }

  /** Measures each key by itself, or a few together where the clock is too coarse for one. */
  async each(count, prepare, work) {
    const { keysPerSample } = this.#environment
    const samples = []
    for (let key = 0; key + keysPerSample <= count && !this.isOver;) {
      // What is typed where may depend on what was typed before, so only one key can be prepared.
      let spent = 0
      for (let one = 0; one < keysPerSample; one += 1, key += 1) {
        const prepared = prepare(key)
        const began = performance.now()
        await work(prepared)
        spent += performance.now() - began
      }
      samples.push(spent * 1_000 / keysPerSample)
    }
    return new Times(samples, samples.length * keysPerSample)
  }
}

class Times {
  #sorted

  constructor(samples, count) {
    this.#sorted = samples.toSorted((a, b) => a - b)
    this.count = count
  }

  quantile(part) {
    return this.#sorted[Math.floor((this.#sorted.length - 1) * part)]
  }
}
