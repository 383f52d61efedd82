// What a config says for people: kept for ImageService, used by nobody else. So nothing here refuses an image; what is not of the form that the
// specification gives it is left out, and what is long is cut.
import type { JsonField } from './json.js'

export interface Step {
  created: string
  createdBy: string
  comment: string
  empty: boolean
}

export interface About {
  architecture: string
  os: string
  author: string
  created: string
  labels: Record<string, string>
  /** Oldest first. */
  history: Step[]
  /** Something was cut or left out. */
  truncated: boolean
}

const mostSteps = 1_000
const mostLabels = 1_000
/** Of all texts together: it is kept in memory for every image that a worker knows. */
const mostBytes = 32 << 10
const mostTextBytes = 4_096

export function parseAbout(json: JsonField): About {
  const { value } = json
  const config = objectOf(value)
  const texts = new Texts(mostBytes, mostTextBytes)
  const [architecture, os, created, author] = ['architecture', 'os', 'created', 'author'].map((name) => texts.of(config[name]))
  const steps = Array.isArray(config['history']) ? config['history'] : []
  const history = steps.slice(0, mostSteps).map((step) => stepOf(objectOf(step), texts))
  const labels = Object.entries(objectOf(objectOf(config['config'])['Labels']))
  const kept = labels.slice(0, mostLabels).map(([name, label]) => [texts.of(name), texts.of(label)])
  return {
    architecture: architecture ?? '',
    os: os ?? '',
    author: author ?? '',
    created: created ?? '',
    labels: Object.fromEntries(kept.filter(([name]) => name !== '')),
    history,
    truncated: texts.truncated || steps.length > mostSteps || labels.length > mostLabels,
  }
}

function stepOf(step: Record<string, unknown>, texts: Texts): Step {
  return {
    created: texts.of(step['created']),
    createdBy: texts.of(step['created_by']),
    comment: texts.of(step['comment']),
    empty: step['empty_layer'] === true,
  }
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
}

/** Texts of strangers, each cut, and all of them together. */
export class Texts {
  truncated = false
  #left: number

  constructor(
    mostBytes: number,
    private readonly mostTextBytes: number,
  ) {
    this.#left = mostBytes
  }

  /** Empty for what is no text. */
  of(value: unknown): string {
    if (typeof value !== 'string' || value === '') return ''
    const kept = cut(value, Math.min(this.mostTextBytes, this.#left))
    if (kept.length < value.length) this.truncated = true
    this.#left -= Buffer.byteLength(kept)
    return kept
  }
}

/** At the end of a character. Lone surrogates could not travel. */
function cut(text: string, mostBytes: number): string {
  const bytes = Buffer.from(text)
  let end = Math.min(bytes.length, mostBytes)
  while (end < bytes.length && end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}
