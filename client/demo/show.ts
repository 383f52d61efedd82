// Shows one run of the demo: its output as it comes, then verdict, usage and stage times.

import { printable } from '../command/table.js'
import { usageLine, verdictLine } from '../command/verdictLine.js'
import type { FollowedRun } from '../sdk/followed.js'
import type { RunEvent, Verdict } from '../sdk/model.js'

const shownLines = 6
const keptBytes = 64 << 10

export interface Shown {
  verdict: Verdict
  /** The beginning of both streams together. */
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

/** The first lines; of a flood, its size. */
class Output {
  text = ''
  #bytes = 0
  #lines = 0
  #rest = ''

  add({ stream, data }: Extract<RunEvent, { type: 'output' }>): void {
    this.#bytes += data.length
    if (this.text.length < keptBytes) this.text += data.toString()
    if (this.#lines > shownLines) return
    const lines = (this.#rest + data.toString()).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines.filter((line) => line !== '')) this.#show(stream === 'stderr' ? '!' : '|', line)
  }

  end(): void {
    if (this.#rest !== '') this.#show('|', this.#rest)
    if (this.#lines > shownLines) say(`    : (${this.#bytes} bytes in all)`)
  }

  #show(mark: string, line: string): void {
    // A program's output is data: no control character of it reaches the terminal.
    if (++this.#lines <= shownLines) say(`    ${mark} ${printable(line.slice(0, 160))}`)
  }
}
