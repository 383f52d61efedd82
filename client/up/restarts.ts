// How long to wait before a process that died is started again: a single death costs nothing noticeable, a process that cannot live does
// not keep the machine busy.

const firstMs = 100
const longestMs = 10_000
const healthyMs = 10_000

export class Restarts {
  #failures = 0

  next(livedMs: number): number {
    this.#failures = livedMs >= healthyMs ? 0 : this.#failures + 1
    return Math.min(longestMs, firstMs * 2 ** Math.max(0, this.#failures - 1))
  }
}
