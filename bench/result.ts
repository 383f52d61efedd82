// One line of the bench: our figure, beside a peer's that was measured in the same run where there is one.

export interface Result {
  id: string
  value: number
  unit: string
  /** What it is compared with: another program, or the plain limit. */
  peer: string | null
  peerValue: number | null
  /** value / peerValue. */
  ratio: number | null
  /** "ratio <= 0.8", "value < 120"; null: shown for orientation only. */
  goal: string | null
  met: boolean | null
}

type Goal = { ratioAtMost: number } | { ratioAtLeast: number } | { valueBelow: number }

export interface Measured {
  id: string
  value: number
  unit: string
  peer?: { name: string; value: number }
  goal?: Goal
}

export function judge({ id, value, unit, peer, goal }: Measured): Result {
  const ratio = peer ? value / peer.value : null
  return {
    id,
    value: round(value),
    unit,
    peer: peer?.name ?? null,
    peerValue: peer ? round(peer.value) : null,
    ratio: ratio === null ? null : round(ratio),
    goal: goal ? describe(goal) : null,
    met: goal ? meets(goal, value, ratio) : null,
  }
}

function describe(goal: Goal): string {
  if ('ratioAtMost' in goal) return `ratio <= ${goal.ratioAtMost}`
  if ('ratioAtLeast' in goal) return `ratio >= ${goal.ratioAtLeast}`
  return `value < ${goal.valueBelow}`
}

function meets(goal: Goal, value: number, ratio: number | null): boolean {
  if ('ratioAtMost' in goal) return ratio !== null && ratio <= goal.ratioAtMost
  if ('ratioAtLeast' in goal) return ratio !== null && ratio >= goal.ratioAtLeast
  return value < goal.valueBelow
}

const round = (value: number): number => Number(value.toPrecision(4))
