/** What is to be disposed of in reverse, whatever happens. (Node 20 has no `DisposableStack`.) */
export class Held implements Disposable {
  readonly #things: Disposable[] = []

  add<T extends Disposable>(thing: T): T {
    this.#things.push(thing)
    return thing
  }

  [Symbol.dispose](): void {
    for (let thing = this.#things.pop(); thing; thing = this.#things.pop()) thing[Symbol.dispose]()
  }
}
