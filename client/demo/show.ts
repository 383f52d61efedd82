// Shows one run of the demo: its output as it comes, then verdict, usage and stage times.

import { printable } from '../command/table.js'
import { usageLine, verdictLine } from '../command/verdictLine.js'
import type { FollowedRun } from '../sdk/followed.js'
import type { RunEvent, Verdict } from '../sdk/model.js'

const shownLines = 6
const keptBytes = 64 << 10

export interface Shown {
  verdict: Verdict
  /** The beginning of standard output, and then that of standard error. */
  output: string
}

export async function showRun(followed: FollowedRun): Promise<Shown> {
  const output = new Output()
  for await (const event of followed) {
    if (event.type === 'output') output.add(event)
  }
  const verdict = await followed.verdict()
  output.end()
  say(`    ${printable(verdictLine(verdict))}`)
  say(`    ${usageLine(verdict)}`)
  return { verdict, output: output.text }
}

export const say = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

/** The first lines of each stream as they become whole, for how the two mix is chance; of a flood, its size. */
class Output {
  readonly #texts = { stdout: '', stderr: '' }
  readonly #rests = { stdout: '', stderr: '' }
  #bytes = 0
  #lines = 0

  get text(): string {
    return `${this.#texts.stdout}\n${this.#texts.stderr}`
  }

  add({ stream, data }: Extract<RunEvent, { type: 'output' }>): void {
    this.#bytes += data.length
    if (this.#texts[stream].length < keptBytes) this.#texts[stream] += data.toString()
    if (this.#lines > shownLines) return
    const lines = (this.#rests[stream] + data.toString()).split('\n')
    this.#rests[stream] = lines.pop() ?? ''
    for (const line of lines) this.#show(stream, line)
  }

  end(): void {
    this.#show('stdout', this.#rests.stdout)
    this.#show('stderr', this.#rests.stderr)
    if (this.#lines > shownLines) say(`    : (${this.#bytes} bytes in all)`)
  }

  #show(stream: 'stdout' | 'stderr', line: string): void {
    if (line === '') return
    // A program's output is data: no control character of it reaches the terminal.
    if (++this.#lines <= shownLines) say(`    ${stream === 'stderr' ? '!' : '|'} ${printable(line.slice(0, 160))}`)
  }
}
