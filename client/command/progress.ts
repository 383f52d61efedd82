// What happens before the program speaks, on one line of the terminal that is gone afterwards.

import type { RunEvent } from '../sdk/model.js'
import { showSize } from './quantity.js'

// A run that starts at once shows nothing.
const quietMs = 300

export class ProgressLine {
  readonly #layers = new Map<string, { doneBytes: number; totalBytes: number }>()
  readonly #timer: NodeJS.Timeout | undefined
  #text = ''
  #visible = false
  #over = false

  constructor(private readonly terminal: NodeJS.WriteStream) {
    if (terminal.isTTY) this.#timer = setTimeout(() => this.#show(), quietMs).unref()
    else this.#over = true
  }

  see(event: RunEvent): void {
    if (this.#over) return
    if (event.type === 'progress') this.layer(event)
    else if (event.type === 'state' && event.state === 'QUEUED') this.say('waiting in the queue')
    else if (event.type === 'state' && event.state === 'PREPARING') this.say('preparing')
    else this.clear()
  }

  /** For good: what comes now is the program's. */
  clear(): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#timer)
    this.hide()
  }

  /** Until there is something new to say: a line of its own is written meanwhile. */
  hide(): void {
    if (this.#visible) this.terminal.write('\r\x1b[K')
  }

  layer({ digest, doneBytes, totalBytes }: { digest: string; doneBytes: number; totalBytes: number }): void {
    this.#layers.set(digest, { doneBytes, totalBytes })
    const layers = [...this.#layers.values()]
    const done = layers.reduce((sum, layer) => sum + layer.doneBytes, 0)
    const total = layers.reduce((sum, layer) => sum + layer.totalBytes, 0)
    const of = total > 0 ? ` of ${showSize(total)}` : ''
    this.say(`preparing the image: ${layers.length} ${layers.length === 1 ? 'layer' : 'layers'}, ${showSize(done)}${of}`)
  }

  say(text: string): void {
    if (this.#over) return
    this.#text = text
    if (this.#visible) this.#show()
  }

  #show(): void {
    if (this.#over || this.#text === '') return
    this.#visible = true
    this.terminal.write(`\r\x1b[K${this.#text.slice(0, (this.terminal.columns || 80) - 1)}`)
  }
}
