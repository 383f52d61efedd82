/** A promise that is settled from outside. (Node 20 has no `Promise.withResolvers`.) */
export class Deferred<T> {
  readonly promise: Promise<T>
  resolve!: (value: T) => void
  reject!: (error: unknown) => void

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    // Whoever does not wait for it is not interested in its failure either.
    this.promise.catch(() => {})
  }
}
