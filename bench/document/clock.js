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

  /** Measures each key by itself. */
  async each(count, prepare, work) {
    const samples = []
    for (let key = 0; key < count && !this.isOver; key += 1) {
      const prepared = prepare(key)
      const began = performance.now()
      await work(prepared)
      samples.push((performance.now() - began) * 1_000)
    }
    return new Times(samples, this.#environment.step)
  }
}

class Times {
  #sorted
  #step

  constructor(samples, step) {
    // What the clock gives are numbers with a point, and no whole steps.
    const times = step === undefined ? samples : samples.map(sample => Math.round(sample / step) * step)
    this.#sorted = times.toSorted((a, b) => a - b)
    this.#step = step
  }

  get count() {
    return this.#sorted.length
  }

  /**
   * A clock that goes in steps rounds each time up or down, by chance and as often as it should: those with the same
   * number of steps are spread over one step around it, as it is done with figures in classes.
   */
  quantile(part) {
    const time = this.#sorted[Math.floor((this.#sorted.length - 1) * part)]
    if (this.#step === undefined) return time
    const [below, after] = [this.#sorted.indexOf(time), this.#sorted.lastIndexOf(time) + 1]
    return time + this.#step * ((part * this.#sorted.length - below) / (after - below) - 0.5)
  }
}
