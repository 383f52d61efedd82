// Mutations of bytes, all of them a function of one seed.

export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1
  }

  /** xorshift32. */
  below(bound: number): number {
    this.#state ^= this.#state << 13
    this.#state >>>= 0
    this.#state ^= this.#state >>> 17
    this.#state ^= this.#state << 5
    this.#state >>>= 0
    return this.#state % bound
  }

  pick<T>(of: readonly T[]): T {
    return of[this.below(of.length)] as T
  }
}

/** What parsers trip over. */
const words = [
  ...[
    '"',
    '\\',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    'null',
    'true',
    '-1',
    '0',
    '1e308',
    '9007199254740993',
    '1.5',
    '\\u0000',
    '\\ud800',
  ],
  ...['sha256:', 'sha512:', '/', '..', '@', '%00', '\0', '\r\n', ' ', '=', '"__proto__":{}', '"constructor":1', '\ufeff', 'é'],
].map((word) => Buffer.from(word))

export function mutated(seeds: readonly Buffer[], random: Random): Buffer {
  let bytes = Buffer.from(random.pick(seeds))
  for (let steps = 1 + random.below(6); steps > 0; steps--) bytes = step(bytes, seeds, random)
  return bytes
}

function step(bytes: Buffer<ArrayBuffer>, seeds: readonly Buffer[], random: Random): Buffer<ArrayBuffer> {
  const at = random.below(bytes.length + 1)
  const end = Math.min(bytes.length, at + 1 + random.below(32))
  const [head, middle, tail] = [bytes.subarray(0, at), bytes.subarray(at, end), bytes.subarray(end)]
  switch (random.below(7)) {
    case 0:
      return Buffer.concat([head, tail])
    case 1:
      return Buffer.concat([head, middle, middle, tail])
    case 2:
      return Buffer.concat([head, random.pick(words), tail])
    case 3:
      return Buffer.concat([head, random.pick(words), middle, tail])
    case 4: {
      const other = random.pick(seeds)
      return Buffer.concat([head, other.subarray(random.below(other.length + 1))])
    }
    case 5:
      return Buffer.concat([head])
    default: {
      const copy = Buffer.from(bytes)
      if (at < copy.length) copy[at] = random.below(256)
      return copy
    }
  }
}
