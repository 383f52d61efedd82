/** `share` of the values are at or below the answer. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const value = sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))]
  if (value === undefined) throw new Error('no values')
  return value
}

export const median = (values: readonly number[]): number => quantile(values, 0.5)
